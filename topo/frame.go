package topo

import (
	"encoding/binary"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
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
	Data      []byte // from the Ethernet header on, cut at 16 KiB; of a device without Ethernet, with a header that has no addresses
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
	if f.Device.MAC == nil { // WireGuard's have no Ethernet header
		f.Data = append(ethernetFor(f.Data), f.Data...)
		f.Len += ethernetHeader
	}
	return f
}

const ethernetHeader = 14 // bytes

// ethernetFor is an Ethernet header without addresses for an IP packet.
func ethernetFor(ip []byte) []byte {
	header := make([]byte, ethernetHeader, ethernetHeader+len(ip))
	kind := uint16(unix.ETH_P_IP)
	if len(ip) > 0 && ip[0]>>4 == 6 {
		kind = unix.ETH_P_IPV6
	}
	binary.BigEndian.PutUint16(header[12:], kind)
	return header
}
