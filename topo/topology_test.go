package topo_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/topo"
)

func TestDigitsTellTheOwner(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ got, want string }{
		{topo.NodeIPv4(1).String(), "172.16.0.1"},
		{topo.NodeIPv6(12).String(), "fd00:172:16::12"},
		{topo.NodeIPv4(300).String(), "172.16.1.44"},
		{topo.NodeIPv6(300).String(), "fd00:172:16::300"},
		{topo.HostIPv4(2).String(), "172.31.0.2"},
		{topo.HostIPv6(2).String(), "fd00:172:31::2"},
		{topo.ServiceIPv4(12).String(), "203.0.113.12"},
		{topo.ServiceIPv6(12).String(), "2001:db8:203:113::12"},
		{topo.PodsIPv4(7).String(), "10.0.7.0/24"},
		{topo.PodsIPv6(7).String(), "fd00:10:0:7::/64"},
		{topo.PodsIPv4(300).String(), "10.1.44.0/24"},
		{topo.PodsIPv6(300).String(), "fd00:10:1:44::/64"},
		{topo.PodIP(topo.PodsIPv4(7), 3).String(), "10.0.7.3"},
		{topo.PodIP(topo.PodsIPv6(7), 13).String(), "fd00:10:0:7::13"},
	} {
		require.Equal(t, test.want, test.got)
	}

	cluster := topo.Cluster(300)
	node, pod, host := cluster.Nodes[299], cluster.Pods[300], cluster.Hosts[0]
	require.Equal(t, "node300", node.Name)
	require.Equal(t, "10.1.44.254", node.GatewayIPv4.String())
	require.Equal(t, "fd00:10:1:44::254", node.GatewayIPv6.String())
	require.Equal(t, "02:01:00:00:01:2c", node.MAC.String())
	require.Equal(t, "web-on-node300", pod.Name)
	require.Equal(t, "02:03:00:01:01:2c", pod.MAC.String())
	require.Equal(t, "02:04:00:01:01:2c", pod.DeviceMAC.String())
	require.Equal(t, "02:02:00:00:00:01", host.MAC.String())
}

func TestClusters(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		topology           topo.Topology
		nodes, pods, hosts []string
	}{
		{
			topo.Example(),
			[]string{"control-plane", "worker1", "worker2"},
			[]string{"web-on-control-plane", "web-on-worker1", "client-on-worker1", "web-on-worker2"},
			[]string{"client"},
		},
		{topo.Cluster(2), []string{"node1", "node2"}, []string{"web-on-node1", "client-on-node1", "web-on-node2"}, []string{"client"}},
		{topo.Cluster(0), nil, nil, []string{"client"}},
		{topo.Wire(), []string{"lb"}, nil, []string{"tester"}},
		{topo.Balancers(2, 2), []string{"balancer1", "balancer2"}, nil, []string{"client", "router", "server1", "server2"}},
	} {
		require.NoError(t, test.topology.Validate())
		var nodes, pods, hosts []string
		for _, n := range test.topology.Nodes {
			nodes = append(nodes, n.Name)
		}
		for _, p := range test.topology.Pods {
			pods = append(pods, p.Name)
		}
		for _, h := range test.topology.Hosts {
			hosts = append(hosts, h.Name)
		}
		require.Equal(t, test.nodes, nodes)
		require.Equal(t, test.pods, pods)
		require.Equal(t, test.hosts, hosts)
	}
}

func TestDevicesAreNamedAfterPods(t *testing.T) {
	t.Parallel()
	var topology topo.Topology
	topology.AddNode("node1")
	topology.AddNode("node2")
	for _, test := range []struct{ pod, node, device string }{
		{"web-on-node1", "node1", "lxc-web"},
		{"web-on-node2", "node2", "lxc-web"},
		{"web", "node1", "lxc-web-2"},
		{"web-on-node2-too", "node2", "lxc-web-on-node"},
		{"web-on-node2-three", "node2", "lxc-web-on-no-3"},
		{"a-very-long-name", "node1", "lxc-a-very-long"},
	} {
		require.Equal(t, test.device, topology.AddPod(test.pod, test.node).Device, test.pod)
	}
	require.NoError(t, topology.Validate())
}

func TestFreeNumbersAreTaken(t *testing.T) {
	t.Parallel()
	var topology topo.Topology
	for _, name := range []string{"a", "b", "c"} {
		topology.AddNode(name)
	}
	topology.Nodes = topology.Nodes[1:]
	require.Equal(t, topo.NodeIPv4(1), topology.AddNode("d").IPv4)
	require.Equal(t, topo.NodeIPv4(4), topology.AddNode("e").IPv4)
	topology.AddHost("h").IPv4 = netip.MustParseAddr("172.31.0.2")
	require.Equal(t, topo.HostIPv4(3), topology.AddHost("i").IPv4, "2 is taken in one family, 1 in the other")
	require.NoError(t, topology.Validate())
}

// A node's prefix holds so many pods; one more is told about, and a wider prefix has room for it.
func TestMorePodsThanANodeHolds(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ prefix, says string }{
		{"10.0.1.0/24", "topo: pod pod255 has the address 10.0.2.0, which is not in its node's 10.0.1.0/24: take one from there"},
		{"10.0.0.0/16", ""},
	} {
		var topology topo.Topology
		topology.AddNode("node1").PodsIPv4 = netip.MustParsePrefix(test.prefix)
		for i := range 600 {
			topology.AddPod(fmt.Sprintf("pod%d", i+1), "node1")
		}
		if test.says != "" {
			require.EqualError(t, topology.Validate(), test.says)
			continue
		}
		require.NoError(t, topology.Validate())
		require.Equal(t, "10.0.2.90", topology.Pods[599].IPv4.String())
		require.Equal(t, "02:03:02:5a:00:01", topology.Pods[599].MAC.String())
	}
}

func TestValidateNamesTheThingAndTheMend(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		edit func(*topo.Topology)
		want string
	}{
		{"same address", func(t *topo.Topology) { t.AddPod("x", "node2"); t.Pods[3].IPv4 = t.Pods[2].IPv4 },
			"pod web-on-node2 and pod x have the same address 10.0.2.1: give one of them another"},
		{"address of a gateway", func(t *topo.Topology) { t.Pods[0].IPv6 = t.Nodes[0].GatewayIPv6 },
			"the gateway of node node1 and pod web-on-node1 have the same address fd00:10:0:1::254: give one of them another"},
		{"overlapping prefixes", func(t *topo.Topology) { t.Nodes[1].PodsIPv4 = netip.MustParsePrefix("10.0.0.0/16") },
			"node node2 and node node1 have overlapping prefixes for pods, 10.0.0.0/16 and 10.0.1.0/24: give one of them another"},
		{"prefix overlapping the underlay", func(t *topo.Topology) { t.Nodes[1].PodsIPv6 = netip.MustParsePrefix("fd00::/16") },
			"node node2 has pods in fd00::/16, which overlaps the underlay fd00:172::/32: take another prefix"},
		{"prefix with bits beyond", func(t *topo.Topology) { t.Nodes[1].PodsIPv4 = netip.MustParsePrefix("10.0.2.7/24") },
			"node node2 has pods in 10.0.2.7/24, which has bits beyond its length: write 10.0.2.0/24"},
		{"no prefix", func(t *topo.Topology) { t.Nodes[1].PodsIPv6 = netip.Prefix{} },
			"node node2 has no IPv6 prefix for pods: give it one, such as fd00:10:0:1::/64"},
		{"pod off its node", func(t *topo.Topology) { t.Pods[0].IPv4 = netip.MustParseAddr("10.9.9.9") },
			"pod web-on-node1 has the address 10.9.9.9, which is not in its node's 10.0.1.0/24: take one from there"},
		{"unknown node", func(t *topo.Topology) { t.AddPod("x", "node9") },
			`pod x is on node "node9", which does not exist: add the node before the pod`},
		{"same name", func(t *topo.Topology) { t.AddHost("node1") },
			"node node1 and host node1 have the same name: rename one of them"},
		{"no name", func(t *topo.Topology) { t.AddHost("") }, `"" cannot name a machine: take a name without spaces, slashes and colons, other than "switch"`},
		{"small MTU", func(t *topo.Topology) { t.MTU = 1200 }, "an MTU of 1200 is too small for IPv6: make it 1280 or more"},
		{"small MTU for WireGuard", func(t *topo.Topology) { t.MTU, t.Encryption = 1359, topo.WireGuard },
			"an MTU of 1359 leaves too little for IPv6 inside WireGuard: make it 1360 or more"},
		{"no such encryption", func(t *topo.Topology) { t.Encryption = 9 }, "encryption 9 is none: take WireGuard, IPsec or NoEncryption"},
		{"device of WireGuard", func(t *topo.Topology) { t.Pods[0].Device = "wg0" },
			`pod web-on-node1 has the device "wg0": take a name of at most 15 bytes, such as lxc-web`},
		{"large MTU", func(t *topo.Topology) { t.MTU = 70000 }, "an MTU of 70000 is more than a veth pair carries: make it 65535 or less"},
		{"long device", func(t *topo.Topology) { t.Pods[0].Device = "lxc-much-too-long" },
			`pod web-on-node1 has the device "lxc-much-too-long": take a name of at most 15 bytes, such as lxc-web`},
		{"same device", func(t *topo.Topology) { t.Pods[1].Device = "lxc-web" },
			"pods web-on-node1 and client-on-node1 have the same device lxc-web on node node1: rename one of them"},
		{"off the underlay", func(t *topo.Topology) { t.Hosts[0].IPv4 = netip.MustParseAddr("192.168.0.1") },
			"host client has the address 192.168.0.1, which is not on the underlay: take one from 172.16.0.0/12"},
		{"wrong family", func(t *topo.Topology) { t.Hosts[0].IPv6 = topo.HostIPv4(1) },
			`host client has "172.31.0.1" for its IPv6 address: give it one`},
		{"no address", func(t *topo.Topology) { t.Nodes[0].IPv4 = netip.Addr{} },
			`node node1 has no IPv4 address: give it one, or let Topology.AddNode, AddPod or AddHost do it`},
		{"same MAC", func(t *topo.Topology) { t.Hosts[0].MAC = t.Nodes[0].MAC },
			"node node1 and host client have the same MAC 02:01:00:00:00:01: give one of them another"},
		{"no MAC", func(t *topo.Topology) { t.Pods[0].DeviceMAC = nil },
			`the device of pod web-on-node1 has "" for its MAC: give it a unicast one of six bytes`},
		{"cable to nowhere", func(t *topo.Topology) { t.Cables = []topo.Cable{{"node1", "web-on-node1"}} },
			`the cable node1-web-on-node1 is about "web-on-node1", which is no node or host: name one`},
		{"two cables", func(t *topo.Topology) { t.Cables = []topo.Cable{{"node1", "node2"}, {"client", "node2"}} },
			"node2 has two cables, but one NIC: remove a cable"},
		{"route of nobody", func(t *topo.Topology) {
			t.Routes = []topo.Route{{"x", topo.BenchmarkIPv4, topo.NodeIPv4(1)}}
		}, `the route to 198.18.0.0/15 is about "x", which is no node or host: name one`},
		{"route through nowhere", func(t *topo.Topology) {
			t.Routes = []topo.Route{{"node1", topo.BenchmarkIPv4, netip.MustParseAddr("8.8.8.8")}}
		}, "a route of node1 leads to 198.18.0.0/15 via 8.8.8.8: give it a prefix, and an address of its family that is on the underlay"},
		{"neighbour without a MAC", func(t *topo.Topology) {
			t.Neighbours = []topo.Neighbour{{"node1", topo.NodeIPv4(9), nil}}
		}, `the neighbour 172.16.0.9 of node1 has "" for its MAC: give it a unicast one of six bytes`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			topology := topo.Cluster(2)
			topology.Pods = topology.Pods[:3]
			test.edit(&topology)
			require.EqualError(t, topology.Validate(), "topo: "+test.want)
			_, err := topo.Up(t.Context(), topology)
			require.EqualError(t, err, "topo: "+test.want)
		})
	}
}
