package packet

import (
	"fmt"
	"reflect"
	"strings"
	"text/tabwriter"
)

// SideBySide sets three packets beside each other, field by field: one that was sent, what was wanted of it, and what came of
// it. Fields that a layer has zero are left out where all agree. An arrow marks those that differ from what was wanted, a
// tilde those that were changed and nobody asked about. A nil packet is left out; so is a nil want.
func SideBySide(sent *Packet, want Template, got *Packet) string {
	var t table
	wants := t.wanted(want, got)
	for _, p := range []*Packet{got, sent} {
		if p != nil {
			t.add(p)
		}
	}
	was, is := sent.texts(), got.texts()
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "   field\tsent\twant\tgot\n")
	for _, field := range t.fields {
		row, named := wants[field]
		mark := "  "
		switch {
		case named && row.Differs:
			mark = "->"
		case !named && sent != nil && got != nil && was[field] != is[field]:
			mark = " ~"
		case !named && t.zero[field]:
			continue
		}
		wanted, found := "", is[field]
		if named {
			wanted, found = showWant(field, row.Want), show(field, row.Got)
		}
		fmt.Fprintf(w, "%s %s\t%s\t%s\t%s\n", mark, field, was[field], wanted, found)
	}
	w.Flush()
	return strings.TrimRight(out.String(), "\n")
}

// table is the fields of several packets in one order.
type table struct {
	fields []string
	zero   map[string]bool // fields that are zero in every packet so far
	known  map[string]bool
}

// wanted are the fields that a template names, with what Match says about them.
func (t *table) wanted(want Template, got *Packet) map[string]Row {
	t.zero, t.known = map[string]bool{}, map[string]bool{}
	if want == nil || got == nil {
		return nil
	}
	rows := map[string]Row{}
	for _, r := range compare(want, got) {
		rows[r.Field] = r
		t.append(r.Field)
	}
	return rows
}

func (t *table) append(field string) {
	if !t.known[field] {
		t.known[field] = true
		t.fields = append(t.fields, field)
	}
}

// add takes over the fields of a packet: those of a layer that is there already stand with it.
func (t *table) add(p *Packet) {
	var ordered []string
	place := map[string]bool{}
	for i, s := range p.sections {
		for _, f := range fieldsOf(p.label(i), s.layer) {
			ordered = append(ordered, f.name)
			place[f.name] = true
			zero, known := t.zero[f.name], t.known[f.name]
			t.zero[f.name] = f.zero && (zero || !known)
			t.known[f.name] = true
		}
	}
	for _, field := range t.fields {
		if !place[field] {
			ordered = append(ordered, field)
		}
	}
	t.fields = ordered
}

// texts are the fields of a packet as a reader sees them.
func (p *Packet) texts() map[string]string {
	texts := map[string]string{}
	if p == nil {
		return texts
	}
	for i, s := range p.sections {
		for _, f := range fieldsOf(p.label(i), s.layer) {
			texts[f.name] = f.text
		}
	}
	return texts
}

type shown struct {
	name, text string
	zero       bool
}

// fieldsOf lists the fields of a layer.
func fieldsOf(label string, t Template) (fields []shown) {
	if raw, ok := t.(Raw); ok {
		return []shown{{label, showBytes(raw), len(raw) == 0}}
	}
	v := reflect.ValueOf(t)
	for i := range v.NumField() {
		name, field := v.Type().Field(i).Name, v.Field(i)
		if field.Kind() == reflect.Interface {
			continue // Embedded, whose layers have fields of their own
		}
		zero := field.IsZero() || field.Kind() == reflect.Slice && field.Len() == 0
		fields = append(fields, shown{label + "." + name, show(name, field.Interface()), zero})
	}
	return fields
}
