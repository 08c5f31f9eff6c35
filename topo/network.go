package topo

import (
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/cilium/ebpf"
)

// NIC is the name of a machine's way out: a node's or host's to the underlay, a pod's to its node.
const NIC = "eth0"

// switchName is the machine that joins nodes and hosts, and its bridge; its ports are named after them.
const switchName = "switch"

// A Network is a topology brought up. Its methods may be called from several goroutines.
type Network struct {
	topology Topology
	machines []*Machine // nodes, pods, hosts
	fabric   *Machine   // the switch; nil where only cables are
	byName   map[string]*Machine
	devices  []Device                        // by index, from firstIndex on
	pairs    []*end                          // one end of each veth pair; it is up from the start
	macs     map[netip.Addr]net.HardwareAddr // of nodes and hosts
	passing  *ebpf.Program                   // see reception
	phases   []Phase
	cgroups  cgroups
	drain    int // packet socket of Drain; -1 until it needs one

	mu    sync.Mutex
	owned map[io.Closer]struct{} // captures, attachments, watches: what Close closes first
}

// A Phase of bringing a network up, and how long it took.
type Phase struct {
	Name     string
	Duration time.Duration
}

// A Device is a network interface of a machine.
type Device struct {
	Machine, Name string
	Index         int // unique over the network
	MAC           net.HardwareAddr
}

// String is the machine and the name: "node1/eth0".
func (d Device) String() string { return d.Machine + "/" + d.Name }

// Topology returns what the network was made of.
func (n *Network) Topology() Topology { return n.topology }

// Machine returns the node, pod or host of that name.
func (n *Network) Machine(name string) (*Machine, bool) {
	m, ok := n.byName[name]
	return m, ok
}

// Machines returns nodes, pods and hosts, in the topology's order.
func (n *Network) Machines() []*Machine { return slices.Clone(n.machines) }

// Devices returns all devices, those of the switch included, by rising index.
func (n *Network) Devices() []Device { return slices.Clone(n.devices) }

// Device returns the device that has an interface index, wherever it is in the network.
func (n *Network) Device(ifindex int) (Device, bool) {
	i := ifindex - firstIndex
	if i < 0 || i >= len(n.devices) {
		return Device{}, false
	}
	return n.devices[i], true
}

// Phases tells how long each phase of Up took, in order.
func (n *Network) Phases() []Phase { return slices.Clone(n.phases) }

// all returns the machines and the switch.
func (n *Network) all() []*Machine {
	if n.fabric == nil {
		return n.machines
	}
	return append(slices.Clone(n.machines), n.fabric)
}
