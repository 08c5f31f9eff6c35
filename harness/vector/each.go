package vector

import (
	"strings"
)

// expand writes out the items of a list that say each: one item for every row of their table, with $name replaced by the row's
// value in all their texts. A text that is nothing but $name may become anything; $$ is a $.
func expand(w *written) (*written, error) {
	if w.kind != list {
		return w, nil
	}
	out := &written{kind: list, at: w.at}
	for _, item := range w.items {
		table := item.child("each")
		if table == nil {
			out.items = append(out.items, item)
			continue
		}
		if err := table.expect(list); err != nil {
			return nil, err
		}
		for _, row := range table.items {
			if err := row.expect(mapping); err != nil {
				return nil, err
			}
			expanded, err := item.without("each").substitute(row)
			if err != nil {
				return nil, err
			}
			expanded.nameAfter(item, row)
			out.items = append(out.items, expanded)
		}
	}
	return out, nil
}

// without is a mapping less one field.
func (w *written) without(name string) *written {
	out := *w
	out.fields = nil
	for _, f := range w.fields {
		if f.name != name {
			out.fields = append(out.fields, f)
		}
	}
	return &out
}

// nameAfter tells the items of a table apart whose name does not: it says the row.
func (w *written) nameAfter(item, row *written) {
	before, after := item.get("name"), w.get("name")
	if before == nil || before.text != after.text {
		return
	}
	for _, f := range row.fields {
		after.text += " " + f.name + "=" + f.value.text
	}
}

// substitute copies a value with the names of a row replaced.
func (w *written) substitute(row *written) (*written, error) {
	out := *w
	switch w.kind {
	case scalar:
		return w.substituteText(row)
	case list:
		out.items = make([]*written, len(w.items))
		for i, item := range w.items {
			var err error
			if out.items[i], err = item.substitute(row); err != nil {
				return nil, err
			}
		}
	case mapping:
		out.fields = make([]field, len(w.fields))
		for i, f := range w.fields {
			var err error
			if f.value, err = f.value.substitute(row); err != nil {
				return nil, err
			}
			name := &written{kind: scalar, text: f.name, at: f.at}
			if name, err = name.substitute(row); err != nil {
				return nil, err
			}
			if f.name, err = name.scalar("a name"); err != nil {
				return nil, err
			}
			out.fields[i] = f
		}
	}
	return &out, nil
}

func (w *written) substituteText(row *written) (*written, error) {
	var text strings.Builder
	rest := w.text
	for {
		before, after, found := strings.Cut(rest, "$")
		text.WriteString(before)
		if !found {
			break
		}
		if escaped, ok := strings.CutPrefix(after, "$"); ok {
			text.WriteByte('$')
			rest = escaped
			continue
		}
		end := 0
		for end < len(after) && isNameLetter(after[end]) {
			end++
		}
		value := row.get(after[:end])
		if value == nil {
			return nil, w.at.errorf("%s", unknown("column", after[:end], rowNames(row)))
		}
		if before == "" && text.Len() == 0 && end == len(after) {
			whole := *value
			whole.at = w.at
			return &whole, nil
		}
		if value.kind != scalar {
			return nil, w.at.errorf("$%s is %s, which cannot be part of a text", after[:end], value.kind)
		}
		text.WriteString(value.text)
		rest = after[end:]
	}
	out := *w
	out.text = text.String()
	return &out, nil
}

func isNameLetter(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func rowNames(row *written) (names []string) {
	for _, f := range row.fields {
		names = append(names, f.name)
	}
	return names
}
