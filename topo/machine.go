package topo

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"sync"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Kind tells what a machine is.
type Kind string

// The kinds of machines.
const (
	KindNode Kind = "node"
	KindPod  Kind = "pod"
	KindHost Kind = "host"

	kindSwitch Kind = "switch"
)

// A Machine is a node, pod or host of a network that is up: a network namespace of its own.
type Machine struct {
	network    *Network
	kind       Kind
	name       string
	ipv4, ipv6 netip.Addr
	mac        net.HardwareAddr
	forwards   bool
	ends       []*end // eth0 first
	addresses  []address
	node       *Machine // of a pod
	wireGuard  Device   // of a node; the zero value is none

	ns   netns.NsHandle
	rtnl *rtnl

	mu         sync.Mutex // guards what follows
	routes     []route
	neighbours map[netip.Addr]net.HardwareAddr // permanent ones, of eth0
	packets    int                             // packet socket to send by; -1 until Inject needs it
	filters    uint16                          // that were attached so far
}

// Name is the machine's name in the topology.
func (m *Machine) Name() string { return m.name }

// Kind tells whether it is a node, a pod or a host.
func (m *Machine) Kind() Kind { return m.kind }

// IPv4 is the machine's address on eth0.
func (m *Machine) IPv4() netip.Addr { return m.ipv4 }

// IPv6 is the machine's global address on eth0.
func (m *Machine) IPv6() netip.Addr { return m.ipv6 }

// NetNS is the descriptor of the machine's network namespace. It stays open until the network is closed.
func (m *Machine) NetNS() int { return int(m.ns) }

// Devices returns the machine's devices but lo: eth0 first, then, on a node, those of its pods.
func (m *Machine) Devices() []Device {
	devices := make([]Device, len(m.ends))
	for i, e := range m.ends {
		devices[i] = e.Device
	}
	return devices
}

// Device returns a device of the machine by its name.
func (m *Machine) Device(name string) (Device, error) {
	if m.wireGuard.Index != 0 && name == m.wireGuard.Name {
		return m.wireGuard, nil
	}
	e, err := m.end(name)
	if err != nil {
		return Device{}, err
	}
	return e.Device, nil
}

func (m *Machine) end(name string) (*end, error) {
	i := slices.IndexFunc(m.ends, func(e *end) bool { return e.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("topo: %s has no device %q: it has %v", m.name, name, m.Devices())
	}
	return m.ends[i], nil
}

// nic is the machine's eth0.
func (m *Machine) nic() Device { return m.ends[0].Device }

// NetNSCookie is the number by which BPF programs know the machine's network namespace; 0 where the kernel does not tell
// (before 5.14).
func (m *Machine) NetNSCookie() (cookie uint64, err error) {
	err = m.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		cookie, err = unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
		if errors.Is(err, unix.ENOPROTOOPT) {
			return nil
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("topo: the cookie of %s's network namespace: %w", m.name, err)
	}
	return cookie, nil
}

// Do runs f inside the machine, on a thread that belongs to f alone and is thrown away afterwards: sockets that f opens
// stay in the machine for good, goroutines that f starts are not in the machine. f must not end the goroutine
// (t.FailNow): it returns an error instead.
func (m *Machine) Do(f func() error) error { return inNamespace(m.ns, f) }

// Start starts cmd inside the machine, and in its control group where there are any. The child does not die with its parent
// by itself: give it a pipe to read, whose other end only the parent holds, and let it exit at end of file. (Pdeathsig is
// no way: it kills the child when the thread that started it ends, which here is at once.)
func (m *Machine) Start(cmd *exec.Cmd) error {
	err := m.Do(func() error { return m.startInCgroup(cmd) })
	if err != nil {
		return fmt.Errorf("topo: starting %s on %s: %w", cmd.Path, m.name, err)
	}
	return nil
}

// Sysctl sets a sysctl of the machine's network namespace, named as sysctl(8) does: "net.ipv4.ip_forward". Where a device's
// name holds dots, write slashes: "net/ipv4/conf/eth0.1/forwarding".
func (m *Machine) Sysctl(key, value string) error {
	if err := m.Do(sysctl{sysctlPath(key), value}.set); err != nil {
		return fmt.Errorf("topo: setting %s of %s to %q: %w", key, m.name, value, err)
	}
	return nil
}
