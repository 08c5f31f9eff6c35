package vector

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// filling is entries of one map, encoded: to be put there, or expected.
type filling struct {
	*table
	entries []entry
	exact   bool
	count   *int
}

// entry is one of them.
type entry struct {
	key    []byte
	value  []byte // what to put, for all CPUs
	parts  []part // what is expected
	inner  *filling
	absent bool
}

// part is what is expected of one CPU's value, which starts at an offset.
type part struct {
	offset int
	*pattern
}

// encodeTable encodes what is written about a map. The values of per-CPU maps that are given once are put for every CPU, and
// expected of the one that programs run on.
func (e *encoder) encodeTable(t *table, cpu int, what *Table) (*filling, error) {
	f := &filling{table: t, exact: what.Exact, count: what.Count}
	for i := range what.Entries {
		entry, err := e.encodeEntry(t, cpu, &what.Entries[i])
		if err != nil {
			return nil, err
		}
		f.entries = append(f.entries, entry)
	}
	return f, nil
}

func (e *encoder) encodeEntry(t *table, cpu int, what *Entry) (out entry, err error) {
	out.absent = what.Absent
	if out.key, err = e.encodeKey(t, what); err != nil {
		return out, err
	}
	switch {
	case isOfMaps(t.m.Type()):
		return out, e.encodeInner(t, cpu, what, &out)
	case what.Map != nil:
		return out, what.at("map").errorf("map %s holds no maps: give a value", t.name)
	case what.CPUs != nil:
		return out, e.encodeCPUs(t, what, &out)
	}
	out.value = make([]byte, t.size())
	if what.Value == nil {
		return out, nil
	}
	p, err := e.encodeValue(t, what.Value)
	if err != nil {
		return out, err
	}
	for i := range t.cpus {
		copy(out.value[i*t.slot:], p.bytes)
	}
	if t.cpus == 1 {
		cpu = 0
	}
	out.parts = []part{{cpu * t.slot, p}}
	return out, nil
}

func (e *encoder) encodeValue(t *table, value any) (*pattern, error) {
	w, err := toWritten(value)
	if err != nil {
		return nil, err
	}
	return e.encode(t.spec.Value, int(t.m.ValueSize()), w)
}

func (e *encoder) encodeCPUs(t *table, what *Entry, out *entry) error {
	if t.cpus == 1 {
		return what.at("cpus").errorf("map %s has one value for all CPUs: give it as value", t.name)
	}
	if len(what.CPUs) > t.cpus {
		return what.at("cpus").errorf("this machine has %d CPUs, and these are %d values", t.cpus, len(what.CPUs))
	}
	out.value = make([]byte, t.size())
	for i, value := range what.CPUs {
		p, err := e.encodeValue(t, value)
		if err != nil {
			return err
		}
		copy(out.value[i*t.slot:], p.bytes)
		out.parts = append(out.parts, part{i * t.slot, p})
	}
	return nil
}

// encodeInner encodes the contents of an inner map, which is made when it is put.
func (e *encoder) encodeInner(t *table, cpu int, what *Entry, out *entry) error {
	if what.Absent {
		return nil
	}
	if what.Map == nil {
		return what.at("value").errorf("map %s holds maps: give the contents of one as map", t.name)
	}
	if t.spec.InnerMap == nil {
		return what.at("map").errorf("the object does not say what the maps in %s are like", t.name)
	}
	inner, err := t.newInner()
	if err != nil {
		return what.at("map").errorf("%w", err)
	}
	out.inner, err = e.encodeTable(inner, cpu, what.Map)
	return err
}

// encodeKey encodes a key. That of an LPM trie may be a prefix: its length stands before the address, in 4 bytes of the machine's order.
func (e *encoder) encodeKey(t *table, what *Entry) ([]byte, error) {
	w, err := toWritten(what.Key)
	if err != nil {
		return nil, err
	}
	if w.kind == null {
		return nil, what.at("key").errorf("an entry of map %s needs a key", t.name)
	}
	if t.m.Type() == ebpf.LPMTrie && w.kind == scalar && strings.Contains(w.text, "/") {
		return prefixKey(w, int(t.m.KeySize()))
	}
	p, err := e.encode(t.spec.Key, int(t.m.KeySize()), w)
	if err != nil {
		return nil, err
	}
	if n := getUint(p.bytes[:min(4, len(p.bytes))]); kindOf(t.m.Type()) == array && n >= uint64(t.m.MaxEntries()) {
		return nil, what.at("key").errorf("map %s has %d entries, from 0 on, so there is no entry %d", t.name, t.m.MaxEntries(), n)
	}
	return p.bytes, nil
}

func prefixKey(w *written, size int) ([]byte, error) {
	prefix, err := netip.ParsePrefix(w.text)
	if err != nil {
		return nil, w.at.errorf("a prefix belongs here, not %q", w.text)
	}
	addr, bits := prefix.Masked().Addr(), prefix.Bits()
	b := addr.AsSlice()
	if size-4 == 16 && addr.Is4() {
		mapped := addr.As16()
		b, bits = mapped[:], bits+96
	}
	if len(b) != size-4 {
		return nil, w.at.errorf("the addresses of this map have %d bytes, and those of %s %d", size-4, prefix, len(b))
	}
	return append(binary.NativeEndian.AppendUint32(nil, uint32(bits)), b...), nil
}

// newInner makes a map like those that a map of maps holds.
func (t *table) newInner() (*table, error) {
	spec := t.spec.InnerMap.Copy()
	m, err := ebpf.NewMap(spec)
	if err != nil {
		return nil, fmt.Errorf("a map for map %s: %w", t.name, err)
	}
	info, err := m.Info()
	if err != nil {
		m.Close()
		return nil, err
	}
	id, _ := info.ID()
	if t.inner == nil {
		t.inner = map[uint32]*ebpf.Map{}
	}
	t.inner[uint32(id)] = m
	return newTable("in "+t.name, m, spec)
}

// put writes the entries.
func (f *filling) put() error {
	for _, e := range f.entries {
		value := e.value
		if e.inner != nil {
			if err := e.inner.put(); err != nil {
				return err
			}
			value = binary.NativeEndian.AppendUint32(nil, uint32(e.inner.m.FD()))
		}
		if e.absent {
			if err := f.remove(e.key); err != nil {
				return err
			}
			continue
		}
		if err := f.table.put(e.key, value); err != nil {
			return err
		}
	}
	return nil
}

// showKey and showValue say what is in the map as it would be written.
func (t *table) showKey(key []byte) string { return showWhole(t.spec.Key, key) }

func (t *table) showValue(value []byte) string {
	if t.cpus == 1 {
		return showWhole(t.spec.Value, value)
	}
	var parts []string
	for slot := range slices.Chunk(value, t.slot) {
		parts = append(parts, showWhole(t.spec.Value, slot[:t.m.ValueSize()]))
	}
	return "cpus: [" + strings.Join(parts, ", ") + "]"
}

func showWhole(t btf.Type, b []byte) string { return shapeOf(t, len(b)).show(b) }
