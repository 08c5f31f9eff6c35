package packet

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"text/tabwriter"
)

// Describe returns the packet layer by layer, a line each, with every field that
// is there, and the cookie.
func (p *Packet) Describe() string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	for i, s := range p.sections {
		fmt.Fprintf(w, "%s\t%s\n", p.label(i), describe(s.layer))
	}
	if cookie, ok := p.Cookie(); ok {
		fmt.Fprintf(w, "cookie\t%d\n", cookie)
	}
	if p.malformed != nil {
		fmt.Fprintf(w, "error\t%s\n", p.malformed)
	}
	w.Flush()
	return out.String()
}

// describe returns the fields of a layer in the order of its type. Flags that are
// not set and lists that are empty say nothing.
func describe(t Template) string {
	if raw, ok := t.(Raw); ok {
		return show("Raw", raw)
	}
	var fields []string
	v := reflect.ValueOf(t)
	for i := range v.NumField() {
		name, field := v.Type().Field(i).Name, v.Field(i)
		switch field.Kind() {
		case reflect.Interface: // Embedded, whose layers have lines of their own
			continue
		case reflect.Bool, reflect.Slice, reflect.Struct:
			if field.IsZero() || field.Kind() == reflect.Slice && field.Len() == 0 {
				continue
			}
		}
		fields = append(fields, name+" "+show(name, field.Interface()))
	}
	return strings.Join(fields, "  ")
}

// say returns a template as it was written: what it names, and nothing else.
func say(t Template) string {
	layer := reflect.ValueOf(t)
	var fields []string
	for i, name := range (&header{layer: t}).namedFields() {
		fields = append(fields, name+" "+showWant(name, layer.Field(i).Interface()))
	}
	if quote := embedded(t); quote != nil {
		fields = append(fields, fmt.Sprintf("Embedded %s", quote))
	}
	return fmt.Sprintf("%s{%s}", nameOf(t), strings.Join(fields, ", "))
}

// Error is String.
func (m *Mismatch) Error() string { return m.String() }

// String returns template and packet, and a table of the fields that the template
// names, those that differ marked by an arrow.
func (m *Mismatch) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "want %s\ngot  %s\n", m.Template, m.Packet)
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "   field\twant\tgot\n")
	for _, r := range m.Rows {
		mark := "  "
		if r.Differs {
			mark = "->"
		}
		fmt.Fprintf(w, "%s %s\t%s\t%s\n", mark, r.Field, showWant(r.Field, r.Want), show(r.Field, r.Got))
	}
	w.Flush()
	return out.String()
}

// show formats the value of a field for a reader.
func show(field string, value any) string {
	switch v := value.(type) {
	case nil:
		return "-"
	case Raw:
		return showBytes(v)
	case []byte:
		return showBytes(v)
	case net.HardwareAddr:
		return v.String()
	case uint16:
		if strings.HasSuffix(field, "Checksum") {
			return fmt.Sprintf("%#04x", v)
		}
	}
	return fmt.Sprint(value)
}

// showWant is show for a template's side, with a star in the place of an address
// or a port that is open.
func showWant(field string, value any) string {
	a, ok := value.(netip.AddrPort)
	switch {
	case ok && !a.Addr().IsValid():
		return fmt.Sprintf("*:%d", a.Port())
	case ok && a.Port() == 0:
		return strings.TrimSuffix(a.String(), "0") + "*"
	}
	return show(field, value)
}

// showBytes quotes text and writes other bytes in hex, as far as a line holds.
func showBytes(b []byte) string {
	const most = 48
	part, rest := b, ""
	if len(b) > most {
		part, rest = b[:most], fmt.Sprintf("… (%d bytes)", len(b))
	}
	for _, c := range part {
		if c < ' ' || c > '~' {
			return hex.EncodeToString(part) + rest
		}
	}
	return fmt.Sprintf("%q", part) + rest
}
