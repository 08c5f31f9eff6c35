package vector

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// compare says how the map differs from what is expected of it; nothing if it does not.
func (f *filling) compare() (string, error) {
	var differences []string
	for i := range f.entries {
		text, err := f.compareEntry(&f.entries[i])
		if err != nil {
			return "", err
		}
		if text != "" {
			differences = append(differences, text)
		}
	}
	if f.exact || f.count != nil {
		text, err := f.compareAll()
		if err != nil {
			return "", err
		}
		differences = append(differences, text...)
	}
	return strings.Join(differences, "\n"), nil
}

func (f *filling) compareEntry(e *entry) (string, error) {
	got, found, err := f.get(e.key)
	switch {
	case err != nil:
		return "", err
	case found && e.absent:
		return fmt.Sprintf("map %s: want no entry %s, got %s", f.name, f.showKey(e.key), f.showValue(got)), nil
	case e.absent:
		return "", nil
	case !found:
		return f.missing(e)
	case e.inner != nil:
		return f.compareInner(e, got)
	}
	for _, p := range e.parts {
		if slot := got[p.offset : p.offset+len(p.bytes)]; !p.matches(slot) {
			return fmt.Sprintf("map %s, entry %s:\n%s", f.name, f.showKey(e.key), p.table(slot)), nil
		}
	}
	return "", nil
}

// missing says that there is no such entry, and what there is.
func (f *filling) missing(e *entry) (string, error) {
	const most = 5
	all, err := f.read()
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("map %s: want entry %s, got none", f.name, f.showKey(e.key))
	n := f.table.count(all)
	for i := range min(n, most) {
		text += fmt.Sprintf("\n   there is %s: %s", f.showKey(f.key(all, i)), f.showValue(f.value(all, i)))
	}
	if n > most {
		text += fmt.Sprintf("\n   and %d more", n-most)
	}
	return text, nil
}

// compareInner compares the inner map that an entry leads to by its id.
func (f *filling) compareInner(e *entry, got []byte) (string, error) {
	m, err := ebpf.NewMapFromID(ebpf.MapID(getUint(got[:4])))
	if errors.Is(err, unix.ENOENT) {
		return fmt.Sprintf("map %s, entry %s: the inner map is gone", f.name, f.showKey(e.key)), nil
	}
	if err != nil {
		return "", err
	}
	defer m.Close()
	inner, err := newTable(e.inner.name, m, e.inner.spec)
	if err != nil {
		return "", err
	}
	want := *e.inner
	want.table = inner
	text, err := want.compare()
	if text != "" {
		text = fmt.Sprintf("map %s, entry %s:\n%s", f.name, f.showKey(e.key), indent(text, "   "))
	}
	return text, err
}

// compareAll holds the number of entries against what is expected, and finds those that are not.
func (f *filling) compareAll() (differences []string, err error) {
	all, err := f.read()
	if err != nil {
		return nil, err
	}
	expected := map[string]bool{}
	for _, e := range f.entries {
		expected[string(e.key)] = true
	}
	isArray := kindOf(f.m.Type()) == array
	n := f.table.count(all)
	for i := range n {
		key, value := f.key(all, i), f.value(all, i)
		if f.exact && !expected[string(key)] && !(isArray && allZero(value)) {
			differences = append(differences, fmt.Sprintf("map %s: entry %s is too many: %s", f.name, f.showKey(key), f.showValue(value)))
		}
	}
	if f.count != nil && *f.count != n {
		differences = append(differences, fmt.Sprintf("map %s: want %d entries, got %d", f.name, *f.count, n))
	}
	return differences, nil
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// table sets what is wanted beside what is there, part by part, those that differ marked by an arrow.
func (p *pattern) table(got []byte) string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "   field\twant\tgot\n")
	for _, l := range p.leaves {
		for _, part := range l.parts(p.bytes, got) {
			mark, want, is := "  ", part.show(p.bytes), part.show(got)
			if want != is {
				mark = "->"
			}
			fmt.Fprintf(w, "%s %s\t%s\t%s\n", mark, orValue(part.path), want, is)
		}
	}
	w.Flush()
	return strings.TrimRight(out.String(), "\n")
}

// parts breaks up a leaf that is a whole struct, given as bytes, into those of its members that are not zero on both sides.
func (l leaf) parts(want, got []byte) (parts []leaf) {
	if l.members() == nil || l.isUnion() || l.show(want) == l.show(got) {
		return []leaf{l}
	}
	for _, m := range l.members() {
		part := leaf{join(l.path, m.Name), l.member(m)}
		if !part.isZero(want) || !part.isZero(got) {
			parts = append(parts, part.parts(want, got)...)
		}
	}
	return parts
}
