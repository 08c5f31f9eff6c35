package vector

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// table is a map in the kernel: its entries as bytes.
type table struct {
	name  string
	m     *ebpf.Map
	spec  *ebpf.MapSpec
	slot  int // bytes of a value; of per-CPU maps, of one CPU's, filled up to 8
	cpus  int // values of an entry: 1, or as many as there may be CPUs
	batch scratch

	before state                // what every vector starts from
	inner  map[uint32]*ebpf.Map // of a map of maps: those that were made for it, by their ids
	others map[uint32]*ebpf.Map // and those of the object

	rewinder rewinder // nil: it is read, and written where it changed
}

// state is the entries of a map in the kernel's order.
type state struct{ keys, values []byte }

// kinds of maps, by what can be done with their entries.
type tableKind uint8

const (
	opaque tableKind = iota // nothing here
	array                   // as many entries as fit are always there
	hash                    // entries come and go
	ring                    // a ring buffer
)

func kindOf(t ebpf.MapType) tableKind {
	switch t {
	case ebpf.Array, ebpf.PerCPUArray:
		return array
	case ebpf.Hash, ebpf.PerCPUHash, ebpf.LRUHash, ebpf.LRUCPUHash, ebpf.LPMTrie, ebpf.HashOfMaps, ebpf.ArrayOfMaps,
		ebpf.DevMap, ebpf.DevMapHash, ebpf.CPUMap:
		return hash
	case ebpf.RingBuf:
		return ring
	}
	return opaque
}

func isPerCPU(t ebpf.MapType) bool {
	return t == ebpf.PerCPUArray || t == ebpf.PerCPUHash || t == ebpf.LRUCPUHash
}

func isOfMaps(t ebpf.MapType) bool { return t == ebpf.ArrayOfMaps || t == ebpf.HashOfMaps }

func newTable(name string, m *ebpf.Map, spec *ebpf.MapSpec) (*table, error) {
	t := &table{name: name, m: m, spec: spec, slot: int(m.ValueSize()), cpus: 1}
	if isPerCPU(m.Type()) {
		cpus, err := ebpf.PossibleCPU()
		if err != nil {
			return nil, err
		}
		t.cpus, t.slot = cpus, (t.slot+7)&^7
	}
	return t, nil
}

// size is how long the value of an entry is, with those of all CPUs.
func (t *table) size() int { return t.slot * t.cpus }

// get reads an entry; found is false if there is none.
func (t *table) get(key []byte) (value []byte, found bool, err error) {
	value = make([]byte, t.size())
	err = mapCall(mapLookup, t.m, key, value)
	if errors.Is(err, unix.ENOENT) {
		return nil, false, nil
	}
	return value, err == nil, t.wrap("reading", err)
}

func (t *table) put(key, value []byte) error {
	return t.wrap("writing", mapCall(mapUpdate, t.m, key, value))
}

// remove takes an entry away; an array's becomes zero.
func (t *table) remove(key []byte) error {
	if kindOf(t.m.Type()) == array {
		return t.put(key, make([]byte, t.size()))
	}
	err := mapCall(mapDelete, t.m, key, nil)
	if errors.Is(err, unix.ENOENT) {
		err = nil
	}
	return t.wrap("deleting", err)
}

func (t *table) wrap(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.E2BIG), errors.Is(err, unix.ENOSPC):
		return fmt.Errorf("map %s has no room for more than %d entries: %w", t.name, t.m.MaxEntries(), err)
	}
	return fmt.Errorf("%s an entry of map %s (%s): %w", doing, t.name, t.m.Type(), err)
}

// key is the i-th key of a state, value its value.
func (t *table) key(s state, i int) []byte   { n := int(t.m.KeySize()); return s.keys[i*n : (i+1)*n] }
func (t *table) value(s state, i int) []byte { return s.values[i*t.size() : (i+1)*t.size()] }
func (t *table) count(s state) int           { return len(s.keys) / int(t.m.KeySize()) }

// same tells whether two states are, entry by entry in the same order.
func (s state) same(other state) bool {
	return bytes.Equal(s.keys, other.keys) && bytes.Equal(s.values, other.values)
}

func (s state) clone() state { return state{bytes.Clone(s.keys), bytes.Clone(s.values)} }

// scratch is the buffers that a table is read into, time and again.
type scratch struct {
	state
	tokens [2][]byte
	one    bool // the kernel cannot read this map in batches
}

// read reads all entries. The result holds until the next time.
func (t *table) read() (state, error) {
	if !t.batch.one {
		s, err := t.readBatches()
		if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.Errno(524)) { // ENOTSUPP
			return s, err
		}
		t.batch.one = true
	}
	return t.readEach()
}

// readBatches reads in as few system calls as possible: one, most often.
func (t *table) readBatches() (state, error) {
	s := &t.batch
	key, value := int(t.m.KeySize()), t.size()
	if s.keys == nil {
		room := min(int(t.m.MaxEntries()), 1024)
		if kindOf(t.m.Type()) == array {
			room = int(t.m.MaxEntries())
		}
		s.keys, s.values = make([]byte, room*key), make([]byte, room*value)
		s.tokens = [2][]byte{make([]byte, max(key, 8)), make([]byte, max(key, 8))}
	}
	read := 0
	var from []byte
	for {
		room := len(s.keys)/key - read
		b := batch{
			in: pointer(from), out: pointer(s.tokens[0]), count: uint32(room),
			keys: pointer(s.keys[read*key:]), values: pointer(s.values[read*value:]),
		}
		err := b.do(t.m)
		read += int(b.count)
		switch {
		case errors.Is(err, unix.ENOENT):
			return state{s.keys[:read*key], s.values[:read*value]}, nil
		case errors.Is(err, unix.ENOSPC):
			read -= int(b.count) // not even one bucket of the hash fitted
		case err != nil:
			return state{}, err
		case kindOf(t.m.Type()) == array && read == int(t.m.MaxEntries()):
			return state{s.keys, s.values}, nil
		default:
			from = s.tokens[0]
			s.tokens[0], s.tokens[1] = s.tokens[1], s.tokens[0]
		}
		if len(s.keys)/key-read < 256 {
			s.keys, s.values = append(s.keys, make([]byte, len(s.keys)+256*key)...), append(s.values, make([]byte, len(s.values)+256*value)...)
		}
	}
}

// readEach reads entry by entry.
func (t *table) readEach() (state, error) {
	s := state{}
	next := make([]byte, t.m.KeySize())
	var key []byte
	for {
		err := mapCall(mapNextKey, t.m, key, next)
		if errors.Is(err, unix.ENOENT) {
			return s, nil
		}
		if err != nil {
			return s, t.wrap("listing", err)
		}
		key = bytes.Clone(next)
		value, found, err := t.get(key)
		if err != nil {
			return s, err
		}
		if found {
			s.keys, s.values = append(s.keys, key...), append(s.values, value...)
		}
	}
}
