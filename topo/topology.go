// Package topo builds networks out of network namespaces and veth pairs.
//
// A Topology is a plain value: nodes of a cluster, the pods on them, hosts outside of it, and how they are joined. Up
// makes it real and Close takes it down again:
//
//	network, err := topo.Up(ctx, topo.Example())
//	if err != nil {
//		return err
//	}
//	defer network.Close()
//	worker1, _ := network.Machine("worker1")
//
// Every node, pod and host is a Machine: an anonymous network namespace held by a file descriptor, so nothing is left in
// the kernel once the process is gone. A machine's way out is always called eth0; the node's end of a pod's veth pair has
// the name that the pod's Device tells ("lxc-web"). Nodes and hosts share one switch, unless a Cable joins two of them
// NIC to NIC.
//
// Interface indexes are unique over the whole network, so an index that a BPF program saw names one device of one machine.
// At rest a network is silent: no router solicitations, no duplicate address detection, no multicast reports.
package topo

import (
	"net"
	"net/netip"
)

// A Topology describes a network: nothing exists until Up brings it up. The zero value is an empty network. The Add
// methods fill in names, addresses and MACs whose digits tell which machine they belong to; all of it may be edited
// afterwards, and Validate tells what is wrong.
type Topology struct {
	Nodes  []Node
	Pods   []Pod
	Hosts  []Host
	Cables []Cable

	// Neighbours are permanent neighbour entries, and Routes are routes, beyond those that follow from nodes, pods and
	// hosts. Together they let a machine know addresses that exist nowhere, such as those of a node that a traffic
	// generator stands in for (see Wire). Several routes of a machine to one prefix share what goes there, flow by flow.
	Neighbours []Neighbour
	Routes     []Route

	// MTU of every device in bytes, without the Ethernet header; 0 means 1500.
	MTU int

	// Encryption is what nodes do to packets between their pods: see Encrypted.
	Encryption Encryption

	// Offloads leaves transmit checksums, segmentation (TSO, GSO) and GRO as the kernel has them on a veth pair. By
	// default they are off, so that the checksums on the wire are real and a frame is never longer than the MTU. (Nodes and
	// hosts have no TSO towards the switch either way: its ports run an XDP program, to receive what XDP sends.)
	Offloads bool
}

// A Node is a machine of the cluster. It forwards for its pods, and has routes to the pods of the other nodes.
type Node struct {
	Name       string
	IPv4, IPv6 netip.Addr // on eth0, within UnderlayIPv4 and UnderlayIPv6
	MAC        net.HardwareAddr

	PodsIPv4, PodsIPv6       netip.Prefix // the pods' addresses; the other nodes route it here
	GatewayIPv4, GatewayIPv6 netip.Addr   // on the node's end of every pod's veth pair
}

// A Pod is a machine behind a node, joined to it by a veth pair. Its default route leads to the node's gateway address.
type Pod struct {
	Name, Node string
	IPv4, IPv6 netip.Addr       // on eth0, within the node's PodsIPv4 and PodsIPv6
	MAC        net.HardwareAddr // of eth0
	Device     string           // the node's end of the veth pair, such as "lxc-web"
	DeviceMAC  net.HardwareAddr
}

// A Host is a machine outside of the cluster. It reaches the nodes, but has no route to the pods.
type Host struct {
	Name       string
	IPv4, IPv6 netip.Addr // on eth0, within UnderlayIPv4 and UnderlayIPv6
	MAC        net.HardwareAddr

	// Forwards makes it a router: it sends on what is not for itself. Which of several routes to one prefix a flow takes
	// (ECMP) follows from its addresses, protocol and ports, so all its packets take the same.
	Forwards bool
}

// A Cable joins eth0 of two machines (nodes or hosts, by name) to one another, with no switch between.
type Cable struct{ A, B string }

// A Neighbour is a permanent entry for IP on eth0 of a machine (a node or host, by name).
type Neighbour struct {
	Machine string
	IP      netip.Addr
	MAC     net.HardwareAddr
}

// A Route of a machine (a node or host, by name) leads to Prefix by way of Via, out of eth0. Several to one Prefix are
// equal ways there: see Host.Forwards.
type Route struct {
	Machine string
	Prefix  netip.Prefix
	Via     netip.Addr
}

// number is what the digits of the node's MAC say.
func (n Node) number() int {
	if len(n.MAC) != macLength {
		return 0
	}
	return int(n.MAC[4])<<8 | int(n.MAC[5])
}

// mtu returns the MTU of every device in bytes.
func (t Topology) mtu() int {
	if t.MTU == 0 {
		return DefaultMTU
	}
	return t.MTU
}
