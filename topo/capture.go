package topo

import (
	"context"
	"errors"
	"io"
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

// A Capture sees every frame at every device of the network's machines, in both directions, where tcpdump would: on the
// way in after XDP and before TC, on the way out after TC. Frames of lo are left out, since every machine has its own lo
// with the same index.
type Capture struct{}

// Capture begins to capture. Frames are delivered one at a time from a single goroutine, those of one packet in the order of
// its way through the network; deliver may keep the frame's data.
func (n *Network) Capture(deliver func(Frame)) (*Capture, error) { return nil, errors.ErrUnsupported }

// Sync returns when every frame that was seen before the call has been delivered. It must not be called by deliver.
func (c *Capture) Sync(ctx context.Context) error { return errors.ErrUnsupported }

// Lost tells how many frames were lost because deliver was too slow.
func (c *Capture) Lost() uint64 { return 0 }

// Close ends the capture, after the frames seen so far have been delivered.
func (c *Capture) Close() error { return errors.ErrUnsupported }

// Mute makes pods and hosts drop every packet that carries the cookie of a crafted packet at the start of its L4 payload, and
// ICMP errors about such packets, so that their kernels do not answer them (no RST, no echo reply, no ICMP error). Captures
// see them all the same. Packets without the cookie pass. It lasts until the network is closed.
func (n *Network) Mute() error { return errors.ErrUnsupported }

// WritePcapng writes frames as a pcapng file with one interface for every device, named as Device.String does, nanosecond
// times, and directions.
func WritePcapng(w io.Writer, devices []Device, frames []Frame) error { return errors.ErrUnsupported }
