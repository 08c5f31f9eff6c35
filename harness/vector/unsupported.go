package vector

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Unsupported is the error of a suite that asks for what the kernel does not have: the suite is good, and runs elsewhere.
type Unsupported struct {
	Feature string // such as "context of XDP programs (BPF_PROG_RUN)"
	Since   string // the first release that has it, "5.14"; "" where that is not known
	Err     error  // what the kernel said
}

func (u *Unsupported) Error() string {
	text := "this kernel has no " + u.Feature
	if u.Since != "" {
		text += ", which came with Linux " + u.Since
	}
	return fmt.Sprintf("%s: %v", text, u.Err)
}

func (u *Unsupported) Unwrap() error { return u.Err }

// lacking finds out whether the kernel refused a run (EINVAL) for a part of the context that no run could have: it tries again with that
// part left out. Nil: the kernel knows all parts, so it is the values that are wrong.
func (r *progRun) lacking(program *ebpf.Program, refused error) error {
	if r.contextIn == 0 {
		return nil
	}
	given := unsafe.Slice((*byte)(r.contextInPtr), r.contextIn)
	kind := contextOf(program.Type())
	if kind == xdpContext {
		plain := slices.Clone(given)
		for _, s := range slots[kind] {
			clear(plain[s.offset:][:s.size])
		}
		if r.accepts(program, plain) {
			return nil
		}
		return &Unsupported{Feature: "context of XDP programs (BPF_PROG_RUN)", Since: "5.14", Err: refused}
	}
	for _, s := range slots[kind] {
		without := slices.Clone(given)
		clear(without[s.offset:][:s.size])
		// Kernels that take this field take any number in it.
		if s.name == "ingress" && !slices.Equal(without, given) && r.accepts(program, without) {
			return &Unsupported{Feature: "ingress_ifindex in the context of TC programs (BPF_PROG_RUN)", Err: refused}
		}
	}
	return nil
}

// accepts tells whether the kernel takes another context for the same packet.
func (r *progRun) accepts(program *ebpf.Program, context []byte) bool {
	again := *r
	again.fd, again.contextInPtr, again.repeat = uint32(program.FD()), pointer(context), 1
	again.packetOut = 0
	again.packetOutPointer = nil
	again.contextOut, again.contextOutPtr = 0, nil
	_, _, errno := unix.Syscall(unix.SYS_BPF, progRunCommand, uintptr(unsafe.Pointer(&again)), unsafe.Sizeof(again))
	return errno == 0
}
