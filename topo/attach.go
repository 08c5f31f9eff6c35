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

// An Attachment holds a program at a hook of a device until it is closed.
type Attachment struct {
	Device Device
	Hook   string // "xdp", "ingress" or "egress"
	Mode   string // of xdp "driver" or "generic", otherwise "tcx" or "clsact"
}

// Close detaches the program.
func (a *Attachment) Close() error { return errors.ErrUnsupported }

// AttachXDP attaches an XDP program to a device of the machine. Attachment.Mode tells where it runs.
func (m *Machine) AttachXDP(prog *ebpf.Program, dev string, mode XDPMode) (*Attachment, error) {
	return nil, errors.ErrUnsupported
}

// AttachTC attaches a TC program to a device of the machine, behind those already there: by TCX where the kernel has it
// (6.6), otherwise as a direct-action filter of a clsact qdisc.
func (m *Machine) AttachTC(prog *ebpf.Program, dev string, direction Direction) (*Attachment, error) {
	return nil, errors.ErrUnsupported
}
