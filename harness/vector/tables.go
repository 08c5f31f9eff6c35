package vector

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// tables are the maps of a loaded object, and what every vector starts from.
type tables struct {
	byName  map[string]*table
	encoder *encoder
	cpu     int // that programs run on
	rings   []*ringBuffer
	changed []*table // those that programs or vectors can change
}

func newTables(loaded *Loaded, e *encoder, cpu int) (*tables, error) {
	ts := &tables{byName: map[string]*table{}, encoder: e, cpu: cpu}
	ids := map[uint32]*ebpf.Map{}
	for name, m := range loaded.Maps {
		kind := kindOf(m.Type())
		if kind == ring {
			r, err := openRing(m)
			if err != nil {
				return nil, errors.Join(fmt.Errorf("map %s: %w", name, err), ts.close())
			}
			ts.rings = append(ts.rings, r)
		}
		if kind != array && kind != hash || strings.HasPrefix(name, ".rodata") || name == ".kconfig" {
			continue
		}
		t, err := newTable(name, m, loaded.Spec.Maps[name])
		if err != nil {
			return nil, errors.Join(err, ts.close())
		}
		ts.byName[name] = t
		if info, err := m.Info(); err == nil {
			id, _ := info.ID()
			ids[uint32(id)] = m
		}
	}
	for _, t := range ts.byName {
		if isOfMaps(t.m.Type()) {
			t.others = ids
		}
	}
	return ts, nil
}

// close releases what was made beside the object's own maps.
func (ts *tables) close() error {
	var errs []error
	for _, t := range ts.byName {
		for _, m := range t.inner {
			errs = append(errs, m.Close())
		}
	}
	for _, r := range ts.rings {
		errs = append(errs, r.close())
	}
	errs = append(errs, ts.closeRewinders())
	return errors.Join(errs...)
}

// encode encodes what is written about maps, in the order of their names.
func (ts *tables) encode(contents Contents) (all []*filling, err error) {
	for _, name := range slices.Sorted(maps.Keys(contents)) {
		what := contents[name]
		t := ts.byName[name]
		if t == nil {
			return nil, what.at("").errorf("%s", unknown("map that can be filled", name, slices.Sorted(maps.Keys(ts.byName))))
		}
		f, err := ts.encoder.encodeTable(t, ts.cpu, &what)
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}

// canChange tells which maps are changed by a run: those that programs know, those that are in maps which they know, and those
// that vectors fill.
func (ts *tables) canChange(loaded *Loaded, filled map[string]bool) {
	known := maps.Clone(filled)
	ofMaps := false
	for name := range loaded.Programs {
		for _, m := range mapsOf(loaded.Spec.Programs[name].Instructions) {
			known[m] = true
			ofMaps = ofMaps || ts.byName[m] != nil && isOfMaps(ts.byName[m].m.Type())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(ts.byName)) {
		if t := ts.byName[name]; known[name] || ofMaps {
			ts.changed = append(ts.changed, t)
			t.rewinder = ts.rewinder(t, filled[name])
		}
	}
}

// start puts what every vector starts from, and remembers it.
func (ts *tables) start(fillings []*filling) error {
	for _, f := range fillings {
		if err := f.put(); err != nil {
			return err
		}
	}
	for _, t := range ts.changed {
		if err := t.remember(); err != nil {
			return err
		}
	}
	return nil
}

// restore makes all maps what they were at the start.
func (ts *tables) restore() error {
	for _, t := range ts.changed {
		if err := t.restore(); err != nil {
			return err
		}
	}
	for _, r := range ts.rings {
		r.discard()
	}
	return nil
}

func (t *table) remember() error {
	if t.rewinder != nil {
		return t.rewinder.remember()
	}
	s, err := t.read()
	t.before = s.clone()
	return err
}

// restore makes the map what it was. Most often it still is, which one system call tells.
func (t *table) restore() error {
	if t.rewinder != nil {
		return t.rewinder.restore()
	}
	now, err := t.read()
	if err != nil || now.same(t.before) {
		return err
	}
	now = now.clone()
	there := map[string][]byte{}
	for i := range t.count(now) {
		there[string(t.key(now, i))] = t.value(now, i)
	}
	for i := range t.count(t.before) {
		key, value := t.key(t.before, i), t.value(t.before, i)
		if is, ok := there[string(key)]; !ok || !bytes.Equal(is, value) {
			if err := t.putBack(key, value); err != nil {
				return err
			}
		}
		delete(there, string(key))
	}
	for key := range there {
		if err := t.remove([]byte(key)); err != nil {
			return err
		}
	}
	return t.remember() // the order may be another
}

// putBack writes an entry as it was read: of a map of maps that is an id, which is written as a descriptor.
func (t *table) putBack(key, value []byte) error {
	if !isOfMaps(t.m.Type()) {
		return t.put(key, value)
	}
	id := uint32(getUint(value))
	m := t.inner[id]
	if m == nil {
		m = t.others[id]
	}
	if m == nil {
		return fmt.Errorf("map %s held the map of id %d, which is gone", t.name, id)
	}
	return t.put(key, binary.NativeEndian.AppendUint32(nil, uint32(m.FD())))
}

// ringBuffer is the positions of a BPF ring buffer, which nobody reads here: what it holds is thrown away before it is full.
type ringBuffer struct {
	consumer, producer         *uint64
	consumerPage, producerPage []byte
}

// openRing maps the two pages with the positions (kernel/bpf/ringbuf.c).
func openRing(m *ebpf.Map) (*ringBuffer, error) {
	size := os.Getpagesize()
	consumer, err := unix.Mmap(m.FD(), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mapping a ring buffer: %w", err)
	}
	producer, err := unix.Mmap(m.FD(), int64(size), size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("mapping a ring buffer: %w", err), unix.Munmap(consumer))
	}
	return &ringBuffer{
		(*uint64)(unsafe.Pointer(unsafe.SliceData(consumer))), (*uint64)(unsafe.Pointer(unsafe.SliceData(producer))), consumer, producer,
	}, nil
}

func (r *ringBuffer) discard() { atomic.StoreUint64(r.consumer, atomic.LoadUint64(r.producer)) }

func (r *ringBuffer) close() error {
	return errors.Join(unix.Munmap(r.consumerPage), unix.Munmap(r.producerPage))
}
