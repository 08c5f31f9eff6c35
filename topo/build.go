package topo

import (
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/vishvananda/netns"
)

// firstIndex is the lowest interface index of a network: above those that the kernel gives to devices made later by others.
const firstIndex = 1000

// newNetwork works out all that is to be made: machines, ends of veth pairs, addresses, routes. It asks nothing of the kernel.
func newNetwork(t Topology) *Network {
	n := &Network{
		topology: t,
		byName:   map[string]*Machine{},
		macs:     map[netip.Addr]net.HardwareAddr{},
		owned:    map[io.Closer]struct{}{},
		drain:    -1,
	}
	for _, node := range t.Nodes {
		n.addMachine(KindNode, node.Name, node.IPv4, node.IPv6, node.MAC)
	}
	for _, pod := range t.Pods {
		n.addMachine(KindPod, pod.Name, pod.IPv4, pod.IPv6, pod.MAC)
	}
	for _, host := range t.Hosts {
		n.addMachine(KindHost, host.Name, host.IPv4, host.IPv6, host.MAC)
	}
	n.connectUnderlay()
	for _, pod := range t.Pods {
		n.connectPod(pod)
	}
	n.addWireGuard()
	n.routeNodes()
	for _, host := range t.Hosts {
		n.byName[host.Name].forwards = host.Forwards
	}
	n.routeExtras()
	for _, neighbour := range t.Neighbours {
		n.byName[neighbour.Machine].neighbours[neighbour.IP] = neighbour.MAC
	}
	return n
}

func newMachine(n *Network, kind Kind, name string) *Machine {
	return &Machine{network: n, kind: kind, name: name, ns: netns.None(), packets: -1, neighbours: map[netip.Addr]net.HardwareAddr{}}
}

func (n *Network) addMachine(kind Kind, name string, ipv4, ipv6 netip.Addr, mac net.HardwareAddr) {
	m := newMachine(n, kind, name)
	m.ipv4, m.ipv6, m.mac, m.forwards = ipv4, ipv6, mac, kind == KindNode
	n.machines = append(n.machines, m)
	n.byName[name] = m
}

// addEnd gives a device the next index of the network.
func (n *Network) addEnd(m *Machine, name string, mac net.HardwareAddr) *end {
	e := &end{machine: m, Device: Device{Machine: m.name, Name: name, Index: firstIndex + len(n.devices), MAC: mac}}
	n.devices = append(n.devices, e.Device)
	m.ends = append(m.ends, e)
	return e
}

// pair joins two ends.
func (n *Network) pair(a, b *end) {
	a.peer, b.peer = b, a
	n.pairs = append(n.pairs, a)
}

// connectUnderlay plugs eth0 of nodes and hosts into one another as cables tell, and all others into the switch.
func (n *Network) connectUnderlay() {
	nics := map[string]*end{}
	for _, m := range n.machines {
		if m.kind == KindPod {
			continue
		}
		nic := n.addEnd(m, NIC, m.mac)
		m.addresses = append(m.addresses,
			address{nic.Device, netip.PrefixFrom(m.ipv4, UnderlayIPv4.Bits())},
			address{nic.Device, netip.PrefixFrom(m.ipv6, UnderlayIPv6.Bits())},
			linkLocal(nic.Device))
		n.macs[m.ipv4], n.macs[m.ipv6] = m.mac, m.mac
		nics[m.name] = nic
	}
	for _, c := range n.topology.Cables {
		a, b := nics[c.A], nics[c.B]
		a.reception, b.reception = onCable[a.machine.kind], onCable[b.machine.kind]
		n.pair(a, b)
	}

	for _, m := range n.machines {
		if nic := nics[m.name]; nic != nil && nic.peer == nil {
			n.pair(n.addPort(m), nic)
		}
	}
}

// addPort adds a port to the switch, and the switch with the first.
func (n *Network) addPort(m *Machine) *end {
	if n.fabric == nil {
		n.fabric = newMachine(n, kindSwitch, switchName)
		n.addEnd(n.fabric, switchName, mac(macPort, 0, 0))
	}
	number := len(n.fabric.ends)
	port := n.addEnd(n.fabric, portName(m.name, number), mac(macPort, 0, number))
	port.master, port.reception = n.fabric.ends[0].Index, receiveByPass
	return port
}

// connectPod joins a pod to its node, and routes both ways.
func (n *Network) connectPod(p Pod) {
	pod, node := n.byName[p.Name], n.byName[p.Node]
	device, nic := n.addEnd(node, p.Device, p.DeviceMAC), n.addEnd(pod, NIC, p.MAC)
	n.pair(device, nic)
	pod.node = node
	node.addresses = append(node.addresses, linkLocal(device.Device))
	pod.addresses = append(pod.addresses, linkLocal(nic.Device))

	gateway4, gateway6 := n.gateways(p.Node)
	for _, ip := range []struct{ pod, node, gateway, all netip.Addr }{
		{p.IPv4, node.ipv4, gateway4, netip.IPv4Unspecified()},
		{p.IPv6, node.ipv6, gateway6, netip.IPv6Unspecified()},
	} {
		node.addresses = append(node.addresses, address{device.Device, single(ip.gateway)})
		node.routes = append(node.routes, route{device: device.Device, prefix: single(ip.pod), source: ip.node})

		pod.addresses = append(pod.addresses, address{nic.Device, single(ip.pod)})
		pod.routes = append(pod.routes,
			route{device: nic.Device, prefix: single(ip.gateway)},
			route{device: nic.Device, prefix: netip.PrefixFrom(ip.all, 0), via: []netip.Addr{ip.gateway}})
	}
}

// gateways are the addresses by which the pods of a node reach it.
func (n *Network) gateways(node string) (ipv4, ipv6 netip.Addr) {
	i := slices.IndexFunc(n.topology.Nodes, func(other Node) bool { return other.Name == node })
	return n.topology.Nodes[i].GatewayIPv4, n.topology.Nodes[i].GatewayIPv6
}

// routeNodes gives every node the routes to the pods of the others.
func (n *Network) routeNodes() {
	for _, from := range n.topology.Nodes {
		m := n.byName[from.Name]
		for _, to := range n.topology.Nodes {
			if to.Name == from.Name {
				continue
			}
			m.routes = append(m.routes,
				n.wayToPods(m, to.PodsIPv4, to.IPv4, from.IPv4),
				n.wayToPods(m, to.PodsIPv6, to.IPv6, from.IPv6))
		}
	}
}

// routeExtras gives machines the routes of the topology's own list, each to one prefix by all that lead there.
func (n *Network) routeExtras() {
	routes := n.topology.Routes
	for i, r := range routes {
		var via []netip.Addr
		same := func(other Route) bool { return other.Machine == r.Machine && other.Prefix == r.Prefix }
		if slices.IndexFunc(routes, same) < i {
			continue
		}
		for _, other := range routes {
			if same(other) {
				via = append(via, other.Via)
			}
		}
		m := n.byName[r.Machine]
		m.routes = append(m.routes, route{device: m.nic(), prefix: r.Prefix, via: via})
	}
}

// portName names a port after the machine behind it, cut and numbered where no device can have that name.
func portName(machine string, number int) string {
	if validDevice(machine) {
		return machine
	}
	suffix := "-" + strconv.Itoa(number)
	return machine[:min(len(machine), maxDeviceName-len(suffix))] + suffix
}
