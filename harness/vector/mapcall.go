package vector

import (
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Commands of bpf(2) on maps (include/uapi/linux/bpf.h).
const (
	mapLookup      = 1
	mapUpdate      = 2
	mapDelete      = 3
	mapNextKey     = 4
	mapLookupBatch = 24
)

// element is the part of union bpf_attr for one entry of a map. The values of per-CPU maps are those of all CPUs one after the
// other, each filled up to 8 bytes.
type element struct {
	fd    uint32
	_     uint32
	key   unsafe.Pointer
	value unsafe.Pointer // or the next key
	_     uint64         // flags: an update makes the entry or changes it
}

func mapCall(command uintptr, m *ebpf.Map, key, value []byte) error {
	e := element{fd: uint32(m.FD()), key: pointer(key), value: pointer(value)}
	_, _, errno := unix.Syscall(unix.SYS_BPF, command, uintptr(unsafe.Pointer(&e)), unsafe.Sizeof(e))
	runtime.KeepAlive(m)
	if errno != 0 {
		return errno
	}
	return nil
}

// batch is the part of union bpf_attr for many entries of a map.
type batch struct {
	in, out      unsafe.Pointer // where to go on, and where it ended
	keys, values unsafe.Pointer
	count        uint32
	fd           uint32
	elementFlags uint64
	flags        uint64
}

// do reads entries; ENOENT says that those are the last.
func (b *batch) do(m *ebpf.Map) error {
	b.fd = uint32(m.FD())
	_, _, errno := unix.Syscall(unix.SYS_BPF, mapLookupBatch, uintptr(unsafe.Pointer(b)), unsafe.Sizeof(*b))
	runtime.KeepAlive(m)
	if errno != 0 {
		return errno
	}
	return nil
}
