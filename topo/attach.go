package topo

import (
	"errors"

	"github.com/cilium/ebpf"
)

// XDPMode is the place where an XDP program runs.
type XDPMode uint8

// The XDP modes.
const (
	XDPBest    XDPMode = iota // the driver, or generic where the driver cannot
	XDPDriver                 // in the driver, before there is an skb
	XDPGeneric                // in the stack, on an skb
)

// TCMode is the way a TC program is attached.
type TCMode uint8

// The TC modes.
const (
	TCBest   TCMode = iota // TCX, or clsact where the kernel does not have it
	TCX                    // a link, since 6.6
	TCClsact               // a direct-action filter of a clsact qdisc
)

// An Attachment holds a program at a hook of a device until it is closed.
type Attachment struct {
	Device Device
	Hook   string // "xdp", "tc ingress" or "tc egress"
	Mode   string // of xdp "driver" or "generic", of tc "tcx" or "clsact"
}

// Close detaches the program.
func (a *Attachment) Close() error { return errors.ErrUnsupported }

// AttachXDP attaches an XDP program to a device of the machine. Attachment.Mode tells where it runs.
func (m *Machine) AttachXDP(prog *ebpf.Program, dev string, mode XDPMode) (*Attachment, error) {
	return nil, errors.ErrUnsupported
}

// AttachTC attaches a TC program to a device of the machine, for what it receives (In) or sends (Out), behind programs already
// there. Attachment.Mode tells how.
func (m *Machine) AttachTC(prog *ebpf.Program, dev string, direction Direction, mode TCMode) (*Attachment, error) {
	return nil, errors.ErrUnsupported
}
