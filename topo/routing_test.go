package topo_test

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

func TestNextHop(t *testing.T) {
	t.Parallel()
	network := up(t, topo.Example())
	wire := up(t, topo.Wire())
	for _, test := range []struct {
		network     *topo.Network
		from, dst   string
		device, mac string
	}{
		{network, "client-on-worker1", "10.0.2.1", "eth0", "02:04:00:02:00:02"},
		{network, "client-on-worker1", "fd00:10:0:3::1", "eth0", "02:04:00:02:00:02"},
		{network, "client-on-worker1", "8.8.8.8", "eth0", "02:04:00:02:00:02"},
		{network, "worker1", "10.0.2.2", "lxc-client", "02:03:00:02:00:02"},
		{network, "worker1", "fd00:10:0:2::2", "lxc-client", "02:03:00:02:00:02"},
		{network, "worker1", "10.0.3.1", "eth0", "02:01:00:00:00:03"},
		{network, "worker1", "fd00:10:0:3::99", "eth0", "02:01:00:00:00:03"},
		{network, "worker1", "172.31.0.1", "eth0", "02:02:00:00:00:01"},
		{network, "client", "172.16.0.2", "eth0", "02:01:00:00:00:02"},
		{network, "client", "fd00:172:16::2", "eth0", "02:01:00:00:00:02"},
		{network, "client", "ff02::1:ff00:2", "eth0", "33:33:ff:00:00:02"},
		{network, "client", "224.0.0.251", "eth0", "01:00:5e:00:00:fb"},
		{wire, "lb", "10.0.2.77", "eth0", "02:02:00:00:00:01"},
		{wire, "lb", "fd00:10:0:2::77", "eth0", "02:02:00:00:00:01"},
		{wire, "lb", "198.19.255.1", "eth0", "02:02:00:00:00:01"},
		{wire, "lb", "2001:2::77", "eth0", "02:02:00:00:00:01"},
		{wire, "tester", "172.16.0.1", "eth0", "02:01:00:00:00:01"},
	} {
		device, mac, err := machine(t, test.network, test.from).NextHop(netip.MustParseAddr(test.dst))
		require.NoError(t, err, "%s to %s", test.from, test.dst)
		require.Equal(t, test.from+"/"+test.device, device.String(), "to %s", test.dst)
		require.Equal(t, test.mac, mac.String(), "%s to %s", test.from, test.dst)
	}

	_, _, err := machine(t, network, "client").NextHop(netip.MustParseAddr("10.0.1.1"))
	require.EqualError(t, err, "topo: client has no route to 10.0.1.1: add one (Topology.Routes, Machine.RouteAdd)")
	_, _, err = machine(t, network, "client").NextHop(netip.MustParseAddr("172.16.0.99"))
	require.EqualError(t, err, "topo: client knows no machine with the address 172.16.0.99 on client/eth0: add a neighbour (Topology.Neighbours, Machine.NeighbourAdd)")
}

// The wire brings back to the tester what is for a pod that exists as an address only, and for clients without number, and
// nobody asks for a MAC before.
func TestWireTurnsPacketsRound(t *testing.T) {
	t.Parallel()
	network := up(t, topo.Wire())
	tape := capture(t, network)
	lb, tester := machine(t, network, "lb"), machine(t, network, "tester")
	for _, dst := range []netip.Addr{
		topo.PodIP(topo.PodsIPv4(2), 1), topo.PodIP(topo.PodsIPv6(2), 1),
		topo.BenchmarkIPv4.Addr().Next(), topo.BenchmarkIPv6.Addr().Next(),
	} {
		nic := lb.Devices()[0]
		p, err := packet.Build(packet.UDP{Dst: netip.AddrPortFrom(dst, 80), Payload: []byte(dst.String())}, packet.Defaults{
			SrcMAC: tester.Devices()[0].MAC, DstMAC: nic.MAC, SrcIPv4: tester.IPv4(), SrcIPv6: tester.IPv6()})
		require.NoError(t, err)
		require.NoError(t, tester.Inject(topo.NIC, p.Data))
		tape.expect(t, dst.String(), "tester/eth0 out", "lb/eth0 in", "lb/eth0 out", "tester/eth0 in")
	}
	require.Len(t, tape.seen(t, ""), 16, "nothing else was sent: no ARP, no redirect")
}

// A packet that is larger than the narrow part of its way is told of by the node that knows of it.
func TestRouteMTU(t *testing.T) {
	t.Parallel()
	network := up(t, topo.Cluster(2))
	tape := capture(t, network)
	node1, pod := machine(t, network, "node1"), machine(t, network, "web-on-node1")
	for _, c := range []struct {
		pods netip.Prefix
		dst  netip.Addr
		fits int // bytes of UDP payload
	}{{topo.PodsIPv4(2), topo.PodIP(topo.PodsIPv4(2), 1), 1300 - 28}, {topo.PodsIPv6(2), topo.PodIP(topo.PodsIPv6(2), 1), 1300 - 48}} {
		require.NoError(t, node1.RouteMTU(c.pods, 1300))
		for size, way := range map[int][]string{
			c.fits: {"web-on-node1/eth0 out", "node1/lxc-web in", "node1/eth0 out", "node2/eth0 in", "node2/lxc-web out", "web-on-node2/eth0 in", // nobody listens there
				"web-on-node2/eth0 out", "node2/lxc-web in", "node2/eth0 out", "node1/eth0 in", "node1/lxc-web out", "web-on-node1/eth0 in"},
			c.fits + 1: {"web-on-node1/eth0 out", "node1/lxc-web in", "node1/lxc-web out", "web-on-node1/eth0 in"},
		} {
			payload := make([]byte, size)
			mark := fmt.Sprintf("%d bytes to %s", size, c.dst)
			copy(payload, mark)
			p, err := packet.Build(packet.UDP{Dst: netip.AddrPortFrom(c.dst, 80), Payload: payload}, packet.Defaults{
				SrcMAC: pod.Devices()[0].MAC, DstMAC: gatewayMAC(t, pod, c.dst), SrcIPv4: pod.IPv4(), SrcIPv6: pod.IPv6()})
			require.NoError(t, err)
			require.NoError(t, pod.Inject(topo.NIC, p.Data))
			tape.expect(t, mark, way...)
		}
	}
	require.ErrorContains(t, node1.RouteMTU(netip.MustParsePrefix("192.0.2.0/24"), 1300), "node1 has no route to 192.0.2.0/24 that could have an MTU")
}

func gatewayMAC(t *testing.T, m *topo.Machine, dst netip.Addr) net.HardwareAddr {
	_, mac, err := m.NextHop(dst)
	require.NoError(t, err)
	return mac
}

func TestInjectWrongly(t *testing.T) {
	t.Parallel()
	network := up(t, topo.Cluster(1))
	client := machine(t, network, "client")
	require.ErrorContains(t, client.Inject("eth0", make([]byte, 13)), "it has no Ethernet header")
	require.ErrorContains(t, client.Inject("eth0", make([]byte, 1515)), "a frame of 1515 bytes cannot leave client/eth0: the MTU is 1500")
	require.NoError(t, client.SetLink("eth0", false))
	require.ErrorContains(t, client.Inject("eth0", make([]byte, 60)), "network is down")
}
