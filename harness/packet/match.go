package packet

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"slices"
)

// Match compares p with what t says; nil means that it matches.
func Match(t Template, p *Packet) *Mismatch {
	headers, err := unfold(t)
	if err != nil {
		return &Mismatch{p, []Row{{Field: "template", Want: err.Error(), Differs: true}}}
	}
	m := matching{packet: p}
	for i := range headers {
		if !m.header(&headers[i]) {
			break
		}
	}
	if !slices.ContainsFunc(m.rows, func(r Row) bool { return r.Differs }) {
		return nil
	}
	return &Mismatch{p, m.rows}
}

// A Mismatch says how a packet differs from a template.
type Mismatch struct {
	Packet *Packet
	// Rows are the fields that the template names, outermost first. Where the
	// packet has another layer than the template, a row says so and is the last.
	Rows []Row
}

// A Row compares one field.
type Row struct {
	Field     string // as in the template: "TCP.Flags"; of the second TCP layer, "TCP(2).Flags"
	Want, Got any
	Differs   bool
}

// matching walks through a template and a packet side by side.
type matching struct {
	packet *Packet
	at     int // the section that the next header is compared with
	rows   []Row
}

// header compares one header of the template, and reports whether it makes sense
// to go on with the next.
func (m *matching) header(want *header) bool {
	if raw, ok := want.layer.(Raw); ok {
		m.raw(raw)
		return false
	}
	if !isExtension(want.layer) {
		m.passExtensions()
	}
	if m.at == len(m.packet.sections) {
		return m.wrongLayer(want, "nothing")
	}
	got := m.packet.sections[m.at].layer
	layer := echoAs(want, got)
	switch {
	case isIP(got) && nameOf(want.layer) == "IP":
		// Either family will do.
	case reflect.TypeOf(layer) != reflect.TypeOf(got):
		return m.wrongLayer(want, nameOf(got))
	default:
		m.fields(want, layer, got)
	}
	m.at++
	return true
}

func (m *matching) passExtensions() {
	for m.at < len(m.packet.sections) && isExtension(m.packet.sections[m.at].layer) {
		m.at++
	}
}

func (m *matching) wrongLayer(want *header, got string) bool {
	m.rows = append(m.rows, Row{fmt.Sprintf("layer %d", m.at+1), nameOf(want.layer), got, true})
	return false
}

// raw compares the rest of the packet.
func (m *matching) raw(want Raw) {
	got := Raw(m.packet.Data)
	if m.at > 0 {
		got = m.packet.sections[m.at-1].payload()
	}
	m.rows = append(m.rows, Row{"Raw", want, got, !bytes.Equal(want, got)})
}

// fields compares the fields that the template names.
func (m *matching) fields(h *header, want, got Template) {
	label := m.packet.label(m.at)
	w, g := reflect.ValueOf(want), reflect.ValueOf(got)
	for i := range w.NumField() {
		name := w.Type().Field(i).Name
		if name == "Embedded" || w.Field(i).IsZero() && !h.zeroed(name) {
			continue // what is embedded comes as headers of its own
		}
		row := Row{Field: label + "." + name, Want: w.Field(i).Interface(), Got: g.Field(i).Interface()}
		row.Differs = !matches(row.Want, row.Got)
		m.rows = append(m.rows, row)
	}
}

// echoAs returns the layer of h; if it is an Echo, as a message of the family of got.
func echoAs(h *header, got Template) Template {
	if _, ok := h.layer.(Echo); !ok {
		return h.layer
	}
	_, v6 := got.(ICMPv6)
	h.settleEcho(v6)
	return h.layer
}

// matches compares values of one field.
func matches(want, got any) bool {
	switch want := want.(type) {
	case netip.Addr:
		return sameAddr(want, got.(netip.Addr))
	case netip.AddrPort:
		got := got.(netip.AddrPort)
		return (!want.Addr().IsValid() || sameAddr(want.Addr(), got.Addr())) &&
			(want.Port() == 0 || want.Port() == got.Port())
	case net.HardwareAddr:
		return bytes.Equal(want, got.(net.HardwareAddr))
	case []byte:
		return bytes.Equal(want, got.([]byte))
	case []Option:
		return containsOptions(got.([]Option), want)
	}
	return want == got
}

// sameAddr takes an IPv4 address that is wanted in its IPv6 form for what it is. In
// a packet that form is an IPv6 address, and as such a mistake to be seen.
func sameAddr(want, got netip.Addr) bool { return want == got || plain(want) == got }

// containsOptions reports whether each of want is in got; nothing wanted is
// matched by nothing only.
func containsOptions(got, want []Option) bool {
	for _, w := range want {
		same := func(g Option) bool { return g.Kind == w.Kind && bytes.Equal(g.Data, w.Data) }
		if !slices.ContainsFunc(got, same) {
			return false
		}
	}
	return len(want) > 0 || len(got) == 0
}
