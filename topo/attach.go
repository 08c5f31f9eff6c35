package topo

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
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
	TCX                    // a link, since 6.6; takes 10 ms to attach, as long to detach (an RCU grace period each)
	TCClsact               // a direct-action filter of a clsact qdisc; takes 1 ms
)

// An Attachment holds a program at a hook of a device until it is closed.
type Attachment struct {
	Device Device
	Hook   string // "xdp", "tc ingress" or "tc egress"
	Mode   string // of xdp "driver" or "generic", of tc "tcx" or "clsact"

	network *Network
	detach  func() error
	closing sync.Once
	closed  error
}

// Close detaches the program.
func (a *Attachment) Close() error {
	a.closing.Do(func() {
		a.network.disown(a)
		if err := a.detach(); err != nil {
			a.closed = fmt.Errorf("topo: detaching a program from %s %s: %w", a.Device, a.Hook, err)
		}
	})
	return a.closed
}

// A way to attach a program: what it is called, and how it is done.
type way struct {
	mode   string
	attach func() (detach func() error, err error)
}

// attach tries one way after the other.
func (m *Machine) attach(d Device, hook string, ways ...way) (*Attachment, error) {
	var errs []error
	for _, w := range ways {
		detach, err := w.attach()
		if err == nil {
			a := &Attachment{Device: d, Hook: hook, Mode: w.mode, network: m.network, detach: detach}
			m.network.own(a)
			return a, nil
		}
		if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EEXIST) {
			err = fmt.Errorf("%w: another program is there already, and the hook takes one: close its attachment first", err)
		}
		errs = append(errs, fmt.Errorf("topo: attaching a program to %s %s (%s): %w", d, hook, w.mode, err))
	}
	return nil, errors.Join(errs...)
}

// takes says that a program is of a type that a hook does not take.
func takes(d Device, hook string, want ebpf.ProgramType, prog *ebpf.Program) error {
	if prog.Type() == want {
		return nil
	}
	return fmt.Errorf("topo: %s %s takes programs of type %s, and this one is of type %s: see its SEC()", d, hook, want, prog.Type())
}

// AttachXDP attaches an XDP program to a device of the machine. Attachment.Mode tells where it runs.
func (m *Machine) AttachXDP(prog *ebpf.Program, dev string, mode XDPMode) (*Attachment, error) {
	e, err := m.end(dev)
	if err != nil {
		return nil, err
	}
	if err := takes(e.Device, "xdp", ebpf.XDP, prog); err != nil {
		return nil, err
	}
	in := func(flags link.XDPAttachFlags) func() (func() error, error) {
		return e.insteadOfPass(m.link(func() (link.Link, error) {
			return link.AttachXDP(link.XDPOptions{Program: prog, Interface: e.Index, Flags: flags})
		}))
	}
	ways := []way{{"driver", in(link.XDPDriverMode)}, {"generic", in(link.XDPGenericMode)}}
	switch mode {
	case XDPDriver:
		ways = ways[:1]
	case XDPGeneric:
		ways = ways[1:]
	}
	return m.attach(e.Device, "xdp", ways...)
}

// insteadOfPass attaches in place of the program that the end receives by, which comes back after.
func (e *end) insteadOfPass(attach func() (func() error, error)) func() (func() error, error) {
	return func() (func() error, error) {
		if err := e.unpass(); err != nil {
			return nil, err
		}
		detach, err := attach()
		if err != nil {
			return nil, errors.Join(err, e.pass())
		}
		return func() error { return errors.Join(detach(), e.pass()) }, nil
	}
}

// AttachTC attaches a TC program to a device of the machine, for what it receives (In) or sends (Out), behind programs
// already there in the same mode. Attachment.Mode tells how.
func (m *Machine) AttachTC(prog *ebpf.Program, dev string, direction Direction, mode TCMode) (*Attachment, error) {
	d, err := m.Device(dev)
	if err != nil {
		return nil, err
	}
	hook, attachType := "tc ingress", ebpf.AttachTCXIngress
	if direction == Out {
		hook, attachType = "tc egress", ebpf.AttachTCXEgress
	}
	if err := takes(d, hook, ebpf.SchedCLS, prog); err != nil {
		return nil, err
	}
	tcx := way{"tcx", m.link(func() (link.Link, error) {
		return link.AttachTCX(link.TCXOptions{Program: prog, Interface: d.Index, Attach: attachType})
	})}
	clsact := way{"clsact", func() (func() error, error) {
		f := filter{d, direction, m.nextPriority(), "skbench"}
		return func() error { return f.remove(m.rtnl) }, f.add(m.rtnl, prog)
	}}
	switch mode {
	case TCX:
		return m.attach(d, hook, tcx)
	case TCClsact:
		return m.attach(d, hook, clsact)
	}
	return m.attach(d, hook, tcx, clsact)
}

// link attaches by a BPF link, inside the machine: the kernel looks the device up in the caller's namespace.
func (m *Machine) link(attach func() (link.Link, error)) func() (func() error, error) {
	return func() (func() error, error) {
		var l link.Link
		err := m.Do(func() (err error) {
			l, err = attach()
			return err
		})
		if err != nil {
			return nil, err
		}
		return unlink(l), nil
	}
}

// unlink returns what ends a link. Closing alone may end it later: a process that is being forked meanwhile, by any
// goroutine, holds a copy of the descriptor until it execs.
func unlink(l link.Link) func() error {
	return func() error { return errors.Join(l.Detach(), l.Close()) }
}

// nextPriority is above that of all filters before.
func (m *Machine) nextPriority() uint16 {
	m.mu.Lock()
	defer m.mu.Unlock()
	priority := firstPriority + m.filters
	m.filters++
	return priority
}
