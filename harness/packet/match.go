package packet

import (
	"bytes"
	"fmt"
	"iter"
	"net"
	"net/netip"
	"reflect"
	"slices"
)

// Match compares p with what t says, field by field; nil means that it matches.
// Payloads are compared without the packet's cookie, or whole if it has none.
func Match(t Template, p *Packet) *Mismatch {
	rows := compare(t, p)
	if !slices.ContainsFunc(rows, func(r Row) bool { return r.Differs }) {
		return nil
	}
	return &Mismatch{t, p, rows}
}

// compare has a row for every field that the template names.
func compare(t Template, p *Packet) []Row {
	headers, err := unfold(t)
	if err != nil {
		return []Row{{Field: "template", Want: err.Error(), Differs: true}}
	}
	m := matching{packet: p}
	for i := range headers {
		m.header(&headers[i])
	}
	return m.rows
}

// A Mismatch says how a packet differs from a template.
type Mismatch struct {
	Template Template
	Packet   *Packet
	// Rows are the fields that the template names, outermost first. Where the
	// packet has another layer than the template, a row "layer 3" says so, and the
	// fields from there on have a Got of nil.
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
	at     int  // the section that the next header is compared with
	lost   bool // there is no such section, or it is another layer
	rows   []Row
}

// header compares one header of the template.
func (m *matching) header(want *header) {
	if !isExtension(want.layer) {
		m.passExtensions()
	}
	switch raw, ok := want.layer.(Raw); {
	case m.lost:
		m.missing(want)
	case ok:
		m.raw(raw)
	case m.at == len(m.packet.sections):
		m.wrongLayer(want, "nothing")
	default:
		m.section(want, m.packet.sections[m.at].layer)
		m.at++
	}
}

func (m *matching) passExtensions() {
	for m.at < len(m.packet.sections) && isExtension(m.packet.sections[m.at].layer) {
		m.at++
	}
}

// section compares a header with the layer of a section.
func (m *matching) section(want *header, got Template) {
	if echo, ok := want.layer.(Echo); ok {
		_, v6 := got.(ICMPv6)
		want.settleEcho(echo, v6)
	}
	_, eitherFamily := want.layer.(anyIP)
	switch {
	case eitherFamily && isIP(got):
	case reflect.TypeOf(want.layer) != reflect.TypeOf(got):
		m.wrongLayer(want, nameOf(got))
	default:
		m.fields(want, got)
	}
}

func (m *matching) wrongLayer(want *header, got string) {
	m.row(fmt.Sprintf("layer %d", m.at+1), nameOf(want.layer), got)
	m.lost = true
	m.missing(want)
}

// missing compares a header with nothing.
func (m *matching) missing(want *header) {
	if raw, ok := want.layer.(Raw); ok {
		m.row("Raw", raw, nil)
		return
	}
	for i, name := range want.namedFields() {
		m.row(nameOf(want.layer)+"."+name, reflect.ValueOf(want.layer).Field(i).Interface(), nil)
	}
}

// raw compares the rest of the packet.
func (m *matching) raw(want Raw) {
	got := Raw(m.packet.Data)
	if m.at > 0 {
		got = m.packet.sections[m.at-1].payload()
	}
	m.row("Raw", want, got)
}

// fields compares the fields that the template names.
func (m *matching) fields(want *header, got Template) {
	label := m.packet.label(m.at)
	w, g := reflect.ValueOf(want.layer), reflect.ValueOf(got)
	for i, name := range want.namedFields() {
		m.row(label+"."+name, w.Field(i).Interface(), g.Field(i).Interface())
	}
}

func (m *matching) row(field string, want, got any) {
	m.rows = append(m.rows, Row{field, want, got, got == nil || !matches(want, got)})
}

// namedFields returns index and name of the fields of h that say something.
func (h *header) namedFields() iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		layer := reflect.ValueOf(h.layer)
		for i := range layer.NumField() {
			name := layer.Type().Field(i).Name
			if name == "Embedded" || layer.Field(i).IsZero() && !h.zeroed(name) {
				continue // what is embedded comes as headers of its own
			}
			if !yield(i, name) {
				return
			}
		}
	}
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
	case Raw:
		return bytes.Equal(want, got.(Raw))
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
