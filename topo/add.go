package topo

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Cluster is a cluster of n nodes, node1 to noden, with a pod web-on-nodeN on each, one more pod client-on-node1, and a
// host "client" outside.
func Cluster(n int) Topology {
	names := make([]string, n)
	for i := range names {
		names[i] = "node" + strconv.Itoa(i+1)
	}
	return cluster(names, "node1")
}

// Example is a cluster of a control-plane node and two workers, named control-plane, worker1 and worker2, with a pod
// web-on-NODE on each, one more pod client-on-worker1, and a host "client" outside.
func Example() Topology {
	return cluster([]string{"control-plane", "worker1", "worker2"}, "worker1")
}

// cluster has a web pod on every node, and a client pod on one of them.
func cluster(nodes []string, client string) (t Topology) {
	for _, name := range nodes {
		t.AddNode(name)
		t.AddPod("web-on-"+name, name)
		if name == client {
			t.AddPod("client-on-"+name, name)
		}
	}
	t.AddHost("client")
	return t
}

// Balancers is a layer 4 balancer of n nodes, balancer1 to balancern, and what is around it: a host "router", to which the
// host "client" sends what is for ServicesIPv4 and ServicesIPv6, and which shares that among all balancers, flow by flow;
// and hosts server1 to serverm to balance over. All are on one switch, so a server reaches the client without the router.
func Balancers(n, m int) (t Topology) {
	client, router := *t.AddHost("client"), t.AddHost("router")
	router.Forwards = true
	t.Routes = []Route{
		{client.Name, ServicesIPv4, router.IPv4},
		{client.Name, ServicesIPv6, router.IPv6},
	}
	name := router.Name
	for i := range n {
		balancer := t.AddNode("balancer" + strconv.Itoa(i+1))
		t.Routes = append(t.Routes, Route{name, ServicesIPv4, balancer.IPv4}, Route{name, ServicesIPv6, balancer.IPv6})
	}
	for i := range m {
		t.AddHost("server" + strconv.Itoa(i+1))
	}
	return t
}

// Wire is one node "lb" and one host "tester" on a cable, for benchmarks. The tester stands in for everything else: it
// owns the MAC that node 2 and its pods (PodsIPv4(2), PodsIPv6(2)), itself as client, and a whole range of clients
// (BenchmarkIPv4, BenchmarkIPv6) are reached by. All neighbours are known, so that no ARP disturbs a measurement.
func Wire() (t Topology) {
	t.AddNode("lb")
	t.AddHost("tester")
	lb, tester := t.Nodes[0], t.Hosts[0]
	t.Cables = []Cable{{lb.Name, tester.Name}}
	t.Neighbours = []Neighbour{
		{lb.Name, NodeIPv4(2), tester.MAC}, {lb.Name, NodeIPv6(2), tester.MAC},
		{lb.Name, tester.IPv4, tester.MAC}, {lb.Name, tester.IPv6, tester.MAC},
		{tester.Name, lb.IPv4, lb.MAC}, {tester.Name, lb.IPv6, lb.MAC},
	}
	t.Routes = []Route{
		{lb.Name, PodsIPv4(2), NodeIPv4(2)}, {lb.Name, PodsIPv6(2), NodeIPv6(2)},
		{lb.Name, BenchmarkIPv4, tester.IPv4}, {lb.Name, BenchmarkIPv6, tester.IPv6},
	}
	return t
}

// AddNode adds a node with the lowest number that is free. It may be edited through the pointer until the next AddNode.
func (t *Topology) AddNode(name string) *Node {
	n := t.free(NodeIPv4, NodeIPv6)
	t.Nodes = append(t.Nodes, Node{
		Name: name, IPv4: NodeIPv4(n), IPv6: NodeIPv6(n), MAC: mac(macNode, 0, n),
		PodsIPv4: PodsIPv4(n), PodsIPv6: PodsIPv6(n),
		GatewayIPv4: PodIP(PodsIPv4(n), gateway), GatewayIPv6: PodIP(PodsIPv6(n), gateway),
	})
	return &t.Nodes[len(t.Nodes)-1]
}

// AddHost adds a host with the lowest number that is free. It may be edited through the pointer until the next AddHost.
func (t *Topology) AddHost(name string) *Host {
	h := t.free(HostIPv4, HostIPv6)
	t.Hosts = append(t.Hosts, Host{Name: name, IPv4: HostIPv4(h), IPv6: HostIPv6(h), MAC: mac(macHost, 0, h)})
	return &t.Hosts[len(t.Hosts)-1]
}

// AddPod adds a pod to a node, with the lowest number that is free on it. A pod "web-on-node3" has the device "lxc-web" on
// node3. It may be edited through the pointer until the next AddPod.
func (t *Topology) AddPod(name, node string) *Pod {
	pod := Pod{Name: name, Node: node}
	if i := slices.IndexFunc(t.Nodes, func(n Node) bool { return n.Name == node }); i >= 0 {
		n := t.Nodes[i]
		ipv4 := func(p int) netip.Addr { return PodIP(n.PodsIPv4, p) }
		ipv6 := func(p int) netip.Addr { return PodIP(n.PodsIPv6, p) }
		p := t.free(ipv4, ipv6)
		number := n.number()
		pod.IPv4, pod.IPv6 = ipv4(p), ipv6(p)
		pod.MAC, pod.DeviceMAC = mac(macPod, p, number), mac(macDevice, p, number)
		pod.Device = t.freeDevice(name, node, p)
	}
	t.Pods = append(t.Pods, pod)
	return &t.Pods[len(t.Pods)-1]
}

// free returns the lowest number, from 1, none of whose addresses is taken.
func (t *Topology) free(addresses ...func(number int) netip.Addr) int {
	taken := map[netip.Addr]bool{}
	for _, n := range t.Nodes {
		taken[n.IPv4], taken[n.IPv6] = true, true
		taken[n.GatewayIPv4], taken[n.GatewayIPv6] = true, true
	}
	for _, p := range t.Pods {
		taken[p.IPv4], taken[p.IPv6] = true, true
	}
	for _, h := range t.Hosts {
		taken[h.IPv4], taken[h.IPv6] = true, true
	}
	number := 1
	for slices.ContainsFunc(addresses, func(address func(int) netip.Addr) bool { return taken[address(number)] }) {
		number++
	}
	return number
}

// freeDevice names the device of pod p on a node after the pod; where that is too long or taken, after its number too.
func (t *Topology) freeDevice(pod, node string, p int) string {
	const prefix, suffix = "lxc-", "-on-"
	number := "-" + strconv.Itoa(p)
	device := prefix + strings.TrimSuffix(pod, suffix+node)
	if len(device) > maxDeviceName {
		device = device[:maxDeviceName]
	}
	taken := func(other Pod) bool { return other.Node == node && other.Device == device }
	if slices.ContainsFunc(t.Pods, taken) {
		device = device[:min(len(device), maxDeviceName-len(number))] + number
	}
	return device
}
