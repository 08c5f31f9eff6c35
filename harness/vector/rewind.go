package vector

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// A rewinder makes a map what it was at the start, faster than reading it tells whether it still is.
type rewinder interface {
	remember() error
	restore() error
	close() error
}

// mappable lets arrays be read and written as memory, which programs do not notice. Arrays within maps of maps stay as they are:
// all of those have to be alike.
func mappable(spec *ebpf.CollectionSpec) {
	within := map[string]bool{}
	for _, m := range spec.Maps {
		for _, kv := range m.Contents {
			if name, ok := kv.Value.(string); ok && isOfMaps(m.Type) {
				within[name] = true
			}
		}
	}
	for name, m := range spec.Maps {
		if m.Type == ebpf.Array && !within[name] && !strings.HasPrefix(name, ".rodata") && isPlain(m.Value) {
			m.Flags |= unix.BPF_F_MMAPABLE
		}
	}
}

// isPlain tells the types without locks, timers and other things of the kernel's own.
func isPlain(t btf.Type) bool {
	for _, m := range shapeOf(t, 0).members() {
		if inner := shapeOf(m.Type, 0); strings.HasPrefix(inner.name, "bpf_") || !isPlain(m.Type) {
			return false
		}
		if _, pointer := shapeOf(m.Type, 0).Type.(*btf.Pointer); pointer {
			return false
		}
	}
	return true
}

// memory is an array that is mapped.
type memory struct{ now, before []byte }

// mapped maps an array that can be.
func mapped(m *ebpf.Map) (*memory, error) {
	page := unix.Getpagesize()
	size := int(m.MaxEntries()) * ((int(m.ValueSize()) + 7) &^ 7) // values start at multiples of 8
	now, err := unix.Mmap(m.FD(), 0, (size+page-1)/page*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mapping %s: %w", m, err)
	}
	return &memory{now: now}, nil
}

func (m *memory) remember() error {
	m.before = bytes.Clone(m.now)
	return nil
}

func (m *memory) restore() error {
	if !bytes.Equal(m.now, m.before) {
		copy(m.now, m.before)
	}
	return nil
}

func (m *memory) close() error { return unix.Munmap(m.now) }

// perCPU is a per-CPU array with a program that restores what one CPU has in it.
type perCPU struct {
	table      *table
	cpu        int
	collection *ebpf.Collection
	program    *ebpf.Program
}

// fewest entries of a per-CPU array that are worth a program.
const fewest = 32

// rewound loads the program for a per-CPU array. It fails before Linux 5.13, which first goes through maps in programs.
func rewound(t *table, cpu int) (*perCPU, error) {
	spec, err := loadRewind()
	if err != nil {
		return nil, err
	}
	size := t.m.ValueSize()
	for _, name := range []string{rewindMapBefore, rewindMapChanged} {
		spec.Maps[name].ValueSize, spec.Maps[name].MaxEntries = size, t.m.MaxEntries()
	}
	spec.Maps[rewindMapChanged].Flags = t.spec.Flags
	if err := spec.Variables[rewindVarSize].Set(size); err != nil {
		return nil, err
	}
	replaced := map[string]*ebpf.Map{rewindMapChanged: t.m}
	collection, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: replaced})
	if err != nil {
		return nil, err
	}
	return &perCPU{t, cpu, collection, collection.Programs[rewindProgRewindAll]}, nil
}

// remember copies what the CPU has.
func (p *perCPU) remember() error {
	s, err := p.table.read()
	if err != nil {
		return err
	}
	before := p.collection.Maps[rewindMapBefore]
	size := int(p.table.m.ValueSize())
	for i := range p.table.count(s) {
		at := p.cpu * p.table.slot
		value := p.table.value(s, i)[at : at+size]
		if allZero(value) {
			continue // as it is made
		}
		if err := mapCall(mapUpdate, before, p.table.key(s, i), value); err != nil {
			return p.table.wrap("remembering", err)
		}
	}
	return nil
}

func (p *perCPU) restore() error {
	frame := make([]byte, 14)
	call := progRun{packetIn: uint32(len(frame)), packetInPointer: pointer(frame)}
	return call.do(p.program)
}

func (p *perCPU) close() error {
	p.collection.Close()
	return nil
}

// rewinder is the fast way to restore the map, nil if there is none.
func (ts *tables) rewinder(t *table, filled bool) rewinder {
	switch {
	case t.m.Flags()&unix.BPF_F_MMAPABLE != 0 && t.m.Type() == ebpf.Array:
		if m, err := mapped(t.m); err == nil {
			return m
		}
	case t.m.Type() == ebpf.PerCPUArray && t.m.MaxEntries() >= fewest && !filled: // vectors may fill other CPUs' values
		if p, err := rewound(t, ts.cpu); err == nil {
			return p
		}
	}
	return nil
}

// closeRewinders releases what the fast ways hold.
func (ts *tables) closeRewinders() error {
	var errs []error
	for _, t := range ts.byName {
		if t.rewinder != nil {
			errs = append(errs, t.rewinder.close())
		}
	}
	return errors.Join(errs...)
}
