package topo_test

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/topo"
)

func TestLinksFailAndComeBack(t *testing.T) {
	t.Parallel()
	const pod, node = "client-on-worker1", "worker1"
	for _, test := range []struct {
		name     string
		set      func(n *topo.Network, up bool) error
		from, to string
	}{
		{"port of the switch", func(n *topo.Network, up bool) error { return n.SetPort(node, up) }, "worker2", node},
		{"NIC of a node", func(n *topo.Network, up bool) error { return link(n, node, "eth0", up) }, pod, "web-on-worker2"},
		{"NIC of a host", func(n *topo.Network, up bool) error { return link(n, "client", "eth0", up) }, "client", node},
		{"device of a pod", func(n *topo.Network, up bool) error { return link(n, node, "lxc-client", up) }, node, pod},
		{"NIC of a pod", func(n *topo.Network, up bool) error { return link(n, pod, "eth0", up) }, pod, "web-on-worker1"},
	} {
		for _, family := range families {
			t.Run(test.name+" "+family.String(), func(t *testing.T) {
				t.Parallel()
				network := up(t, topo.Example())
				tape := capture(t, network)
				from, to := machine(t, network, test.from), machine(t, network, test.to)
				client, server := listen(t, from, ip(from, family)), listen(t, to, ip(to, family))
				exchange(t, client, server)

				require.NoError(t, test.set(network, false))
				_, _ = client.WriteToUDPAddrPort([]byte("lost"), addrPort(server)) // may fail at once
				require.NotContains(t, places(tape.seen(t, "lost")), test.to+"/eth0 in")

				require.NoError(t, test.set(network, true))
				exchange(t, client, server)
			})
		}
	}
}

func link(n *topo.Network, name, dev string, up bool) error {
	m, _ := n.Machine(name)
	return m.SetLink(dev, up)
}

func TestSetPortWhereThereIsNone(t *testing.T) {
	t.Parallel()
	network := up(t, topo.Wire())
	require.ErrorContains(t, network.SetPort("lb", false), "eth0 of lb is not plugged into the switch but into tester/eth0: use SetLink there")
	require.ErrorContains(t, network.SetPort("nobody", false), `there is no machine "nobody"`)

	network = up(t, topo.Cluster(1))
	require.ErrorContains(t, network.SetPort("web-on-node1", false), "not plugged into the switch but into node1/lxc-web")
}

// What was added by hand lives through a link that failed, like what the topology has.
func TestAddedRoutesComeBack(t *testing.T) {
	t.Parallel()
	network := up(t, topo.Cluster(2))
	host, node2, pod := machine(t, network, "client"), machine(t, network, "node2"), machine(t, network, "web-on-node2")
	for _, prefix := range []netip.Prefix{topo.ClusterIPv4, topo.ClusterIPv6} {
		via := node2.IPv4()
		if prefix.Addr().Is6() {
			via = node2.IPv6()
		}
		require.NoError(t, host.RouteAdd(prefix, via))
	}
	lb, _ := host.Device("eth0")
	require.NoError(t, host.NeighbourAdd(node2.IPv4(), node2.Devices()[0].MAC))
	require.NoError(t, host.SetLink(lb.Name, false))
	require.NoError(t, host.SetLink(lb.Name, true))

	for _, family := range families {
		// The pod's answer finds the host, which is on-link for the node.
		exchange(t, listen(t, host, ip(host, family)), listen(t, pod, ip(pod, family)))
		_, mac, err := host.NextHop(ip(pod, family))
		require.NoError(t, err)
		require.Equal(t, node2.Devices()[0].MAC, mac)
	}
	require.Contains(t, run(t, host, "ip", "neigh"), "172.16.0.2 dev eth0 lladdr 02:01:00:00:00:02 PERMANENT")

	other := net.HardwareAddr{2, 0, 0, 0, 0, 9}
	require.NoError(t, host.NeighbourAdd(node2.IPv4(), other))
	_, mac, err := host.NextHop(pod.IPv4())
	require.NoError(t, err)
	require.Equal(t, other, mac)
}
