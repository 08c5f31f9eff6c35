package topo

import (
	"slices"
	"unsafe"
)

// Direction is that of a frame at a device, and of the hook that it passes there.
type Direction uint8

// The directions.
const (
	In  Direction = iota + 1 // what the device receives: ingress
	Out                      // what it sends: egress
)

// String is "in" or "out".
func (d Direction) String() string {
	if d == Out {
		return "out"
	}
	return "in"
}

// A Frame is one sighting of a frame at a device.
type Frame struct {
	Time      uint64 // nanoseconds of CLOCK_MONOTONIC, the clock of bpf_ktime_get_ns
	Device    Device
	Direction Direction
	Len       int    // bytes on the wire
	Data      []byte // from the Ethernet header on, cut at 16 KiB
}

// frame decodes what the tap wrote.
func (n *Network) frame(sample []byte) Frame {
	header := (*tapHeader)(unsafe.Pointer(unsafe.SliceData(sample)))
	f := Frame{
		Time:      header.TimeNs,
		Direction: In,
		Len:       int(header.Len),
		Data:      slices.Clone(sample[unsafe.Sizeof(*header):][:header.Caplen]), // the ring pads to 8 bytes
	}
	if header.Out != 0 {
		f.Direction = Out
	}
	f.Device, _ = n.Device(int(header.Ifindex))
	return f
}
