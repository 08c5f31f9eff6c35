package vector

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// progRun is the part of union bpf_attr for BPF_PROG_RUN (include/uapi/linux/bpf.h). Pointers are 64 bits wide, as on all
// machines that the datapath is built for.
type progRun struct {
	fd               uint32
	code             uint32
	packetIn         uint32 // sizes in bytes
	packetOut        uint32
	packetInPointer  unsafe.Pointer
	packetOutPointer unsafe.Pointer
	repeat           uint32
	nanoseconds      uint32 // per iteration, rounded down
	contextIn        uint32
	contextOut       uint32
	contextInPtr     unsafe.Pointer
	contextOutPtr    unsafe.Pointer
	flags            uint32
	cpu              uint32
	batch            uint32
	_                uint32
}

const progRunCommand = 10 // BPF_PROG_RUN

// do runs the program of that descriptor. A run that a signal ended before it was done is run again: nothing was changed
// but maps, and repeated runs, which alone are long enough, are measurements.
func (r *progRun) do(program *ebpf.Program) error {
	r.fd = uint32(program.FD())
	for {
		_, _, errno := unix.Syscall(unix.SYS_BPF, progRunCommand, uintptr(unsafe.Pointer(r)), unsafe.Sizeof(*r))
		runtime.KeepAlive(program)
		switch {
		case errno == 0:
			return nil
		case errno == unix.EINTR && r.repeat <= 1:
			return nil // kernels before 5.13 look for signals after the one run that was asked for
		case errno == unix.EINTR:
			continue
		case errno == unix.EINVAL:
			if err := r.lacking(program, errno); err != nil {
				return err
			}
		}
		return runError(program.Type(), r, errno)
	}
}

// runError says what an error of BPF_PROG_RUN means.
func runError(t ebpf.ProgramType, r *progRun, errno unix.Errno) error {
	const notSupported = unix.Errno(524) // ENOTSUPP
	switch {
	case errno == unix.ENOSPC:
		return fmt.Errorf("the packet that came out is longer than %d bytes, for which there is room: %w", r.roomOut(), errno)
	case errno == notSupported:
		return fmt.Errorf("this kernel cannot run programs of type %s by BPF_PROG_RUN: %w", t, errno)
	case errno == unix.EINVAL && contextOf(t) != rawContext && r.packetIn < 14:
		return fmt.Errorf("a packet of %d bytes is refused: the kernel wants an Ethernet header, 14 bytes: %w", r.packetIn, errno)
	case errno == unix.EINVAL && t == ebpf.XDP && r.contextIn > 0:
		return fmt.Errorf("the kernel refuses the context: it takes one for XDP since 5.14, an ingress device that is in the namespace and up, and a queue that it has: %w", errno)
	case errno == unix.EINVAL && r.contextIn > 0:
		return fmt.Errorf("the kernel refuses the context: one of its fields, or a device that is not in the namespace: %w", errno)
	case errno == unix.ENODEV:
		return fmt.Errorf("there is no device of that index in the namespace: %w", errno)
	case errors.Is(errno, unix.EMSGSIZE), errno == unix.ENOMEM:
		return fmt.Errorf("a packet of %d bytes is more than the kernel can run a program on: %w", r.packetIn, errno)
	}
	return fmt.Errorf("BPF_PROG_RUN: %w", errno)
}

// roomOut is the length of the buffer for the packet that comes out, which the kernel has overwritten with what it needs.
func (r *progRun) roomOut() uint32 { return r.packetIn + room }

// pointer is where a slice starts, nil for an empty one.
func pointer(b []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(b)) }
