package bpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

// fence waits for programs to end: after wait, none runs that ran when it was called. The kernel promises that to whoever
// changes a map of maps (maybe_wait_bpf_programs in kernel/bpf/syscall.c, since 5.0), so that is what it is made of.
type fence struct {
	outer, inner *ebpf.Map
}

func (f *fence) wait() error {
	if f.outer == nil {
		if err := f.make(); err != nil {
			return fmt.Errorf("bpf: a map to wait for programs with: %w", err)
		}
	}
	if err := f.outer.Put(uint32(0), f.inner); err != nil {
		return fmt.Errorf("bpf: wait for programs to end: %w", err)
	}
	return nil
}

func (f *fence) make() (err error) {
	inner := &ebpf.MapSpec{Name: "fence_inner", Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1}
	if f.inner, err = ebpf.NewMap(inner); err != nil {
		return err
	}
	f.outer, err = ebpf.NewMap(&ebpf.MapSpec{
		Name: "fence", Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 1, InnerMap: inner,
	})
	return err
}

func (f *fence) close() error { return errors.Join(f.outer.Close(), f.inner.Close()) } // of maps that may be nil
