package topo

import (
	"context"
	"errors"
	"net"
	"time"
)

// NIC is the name of a machine's way out: a node's or host's to the underlay, a pod's to its node.
const NIC = "eth0"

// switchName is the machine that joins nodes and hosts; its ports are named after them.
const switchName = "switch"

// A Network is a topology brought up. Its methods may be called from several goroutines.
type Network struct {
	topology Topology
	machines []*Machine
	phases   []Phase
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

// Up makes a topology real: every machine with its devices, addresses and routes, ready to send and receive. When it
// fails, or ctx ends, nothing of it is left.
func Up(ctx context.Context, t Topology) (*Network, error) {
	return nil, errors.ErrUnsupported
}

// Close takes the network down: captures, attachments, devices, machines. Programs and maps of the caller stay.
func (n *Network) Close() {}

// Topology returns what the network was made of.
func (n *Network) Topology() Topology { return n.topology }

// Machine returns the node, pod or host of that name.
func (n *Network) Machine(name string) (*Machine, bool) { return nil, false }

// Machines returns nodes, pods and hosts, in the topology's order.
func (n *Network) Machines() []*Machine { return n.machines }

// Device returns the device that has an interface index, wherever it is in the network, ports of the switch included.
func (n *Network) Device(ifindex int) (Device, bool) { return Device{}, false }

// Phases tells how long each phase of Up took, in order.
func (n *Network) Phases() []Phase { return n.phases }

// SetPort takes the switch port of a node or host down or up, as if its cable had been pulled at the far end: the
// machine's eth0 loses its carrier.
func (n *Network) SetPort(machine string, up bool) error { return errors.ErrUnsupported }
