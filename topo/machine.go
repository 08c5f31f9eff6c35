package topo

import (
	"errors"
	"net"
	"net/netip"
	"os/exec"

	"github.com/vishvananda/netlink"
)

// Kind tells what a machine is.
type Kind string

// The kinds of machines.
const (
	KindNode Kind = "node"
	KindPod  Kind = "pod"
	KindHost Kind = "host"
)

// A Machine is a node, pod or host of a network that is up: a network namespace of its own.
type Machine struct {
	name string
	kind Kind
}

// Name is the machine's name in the topology.
func (m *Machine) Name() string { return m.name }

// Kind tells whether it is a node, a pod or a host.
func (m *Machine) Kind() Kind { return m.kind }

// Do runs f inside the machine, on a thread that belongs to f alone and is thrown away afterwards: sockets that f opens
// stay in the machine for good, goroutines that f starts are not in the machine. f must not end the goroutine
// (t.FailNow): it returns an error instead.
func (m *Machine) Do(f func() error) error { return errors.ErrUnsupported }

// Start starts cmd inside the machine. The child does not die with its parent by itself: give it a pipe to read, whose
// other end only the parent holds, and let it exit at end of file. (Pdeathsig is no way: it kills the child when the
// thread that started it ends, which here is at once.)
func (m *Machine) Start(cmd *exec.Cmd) error { return errors.ErrUnsupported }

// NetNS is the descriptor of the machine's network namespace. It stays open until the network is closed.
func (m *Machine) NetNS() int { return -1 }

// Handle talks netlink (NETLINK_ROUTE) inside the machine. It is closed with the network.
func (m *Machine) Handle() (*netlink.Handle, error) { return nil, errors.ErrUnsupported }

// Device returns a device of the machine by its name.
func (m *Machine) Device(name string) (Device, bool) { return Device{}, false }

// Devices returns the machine's devices but lo: eth0 first, then, on a node, those of its pods.
func (m *Machine) Devices() []Device { return nil }

// Sysctl sets a sysctl of the machine's network namespace, named as sysctl(8) does: "net.ipv4.ip_forward". Where a device's name
// holds dots, write slashes: "net/ipv4/conf/eth0.1/forwarding".
func (m *Machine) Sysctl(key, value string) error { return errors.ErrUnsupported }

// SetLink takes a device of the machine down or up. Routes by way of a device that goes down are lost, as on any Linux
// machine; those of the topology are put back when it comes up.
func (m *Machine) SetLink(dev string, up bool) error { return errors.ErrUnsupported }

// NeighbourAdd adds or replaces a permanent neighbour entry on eth0.
func (m *Machine) NeighbourAdd(ip netip.Addr, mac net.HardwareAddr) error {
	return errors.ErrUnsupported
}

// RouteAdd adds or replaces a route to prefix by way of via, which eth0 reaches.
func (m *Machine) RouteAdd(prefix netip.Prefix, via netip.Addr) error { return errors.ErrUnsupported }

// Inject sends a frame, beginning with its Ethernet header, out of a device.
func (m *Machine) Inject(dev string, frame []byte) error { return errors.ErrUnsupported }

// NextHop returns the device by which the machine sends to dst, and the MAC that such a frame must carry. It follows from
// the topology: neither the kernel nor routes added later are asked.
func (m *Machine) NextHop(dst netip.Addr) (Device, net.HardwareAddr, error) {
	return Device{}, nil, errors.ErrUnsupported
}
