package scenarios

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/feature"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// C2: a pod reaches one on another node, natively routed: each of the two nodes
// forwards, so the TTL falls by two, and the frame on the wire is addressed from
// one node's NIC to the other's.
func TestCrossNode(t *testing.T) {
	t.Parallel()
	everyDatapath.Run(t, topo.Cluster(2), func(t *testing.T, lab *harness.Lab) {
		client, web := lab.Pod("client-on-node1"), lab.Pod("web-on-node2")
		each(t, []protocol{tcp, udp, echo}, func(t *testing.T, p protocol) {
			sent := client.Send(t, p.request(web.AddrPort(80)))
			request := web.Expect(t, p.request(web.AddrPort(80)))
			requireHops(t, request, 2)
			requireOnWire(t, lab, request, "node1", "node2")

			reply := web.Send(t, p.reply(request))
			requireHops(t, client.Expect(t, p.reply(sent)), 2)
			requireOnWire(t, lab, reply, "node2", "node1")
		})
	})
}

// C2: out of the node by the neighbour entry of the next hop, into the pod past
// the device on its node.
func TestCrossNodeWay(t *testing.T) {
	feature.Need(t, feature.RedirectPeer, feature.RedirectNeigh)
	t.Parallel()
	onlyEBPF.Run(t, topo.Cluster(2), func(t *testing.T, lab *harness.Lab) {
		client, web := lab.Pod("client-on-node1"), lab.Pod("web-on-node2")
		each(t, []protocol{tcp, udp, echo}, func(t *testing.T, p protocol) {
			sent := client.Send(t, p.request(web.AddrPort(80)))
			request := web.Expect(t, p.request(web.AddrPort(80)))
			lab.Trace(t, request).
				Passed(t, "client-on-node1/eth0 out", "node1/lxc-client in", "node1/lxc-client from-container REDIRECT_NEIGH",
					"node1/eth0 out", "node2/eth0 in", "node2/eth0 from-netdev REDIRECT_PEER", "web-on-node2/eth0 in").
				Never(t, "node2/lxc-web")

			reply := web.Send(t, p.reply(request))
			client.Expect(t, p.reply(sent))
			lab.Trace(t, reply).
				Passed(t, "web-on-node2/eth0 out", "node2/lxc-web in", "node2/eth0 out", "node1/eth0 in", "client-on-node1/eth0 in").
				Never(t, "node1/lxc-client")
		})
	})
}

// C2: what holds for crafted packets holds for a whole connection.
func TestCrossNodeConnection(t *testing.T) {
	t.Parallel()
	everyDatapath.Run(t, topo.Cluster(2), func(t *testing.T, lab *harness.Lab) {
		client, web := lab.Pod("client-on-node1"), lab.Pod("web-on-node2")
		web.ServeHTTP(t, 80, says("hello"))
		require.Equal(t, "hello", client.Get(t, web.AddrPort(80)))
		client.Ping(t, web.Addr())
	})
}

// requireOnWire fails unless the packet crossed the wire in a frame from one node's
// NIC to the other's.
func requireOnWire(t *testing.T, lab *harness.Lab, p *packet.Packet, from, to string) {
	t.Helper()
	trace := lab.Trace(t, p).Passed(t, from+"/eth0 out", to+"/eth0 in")
	for _, hop := range trace.Hops() {
		if hop.String() != to+"/eth0 in" {
			continue
		}
		frame, err := packet.Decode(hop.Data)
		require.NoError(t, err)
		ethernet, _ := frame.Ethernet()
		require.Equal(t, nic(t, lab, from), ethernet.Src.String(), "source of the frame from %s", from)
		require.Equal(t, nic(t, lab, to), ethernet.Dst.String(), "destination of the frame to %s", to)
	}
}

// nic is the MAC of a node's NIC.
func nic(t *testing.T, lab *harness.Lab, node string) string {
	t.Helper()
	device, err := lab.Node(node).Network().Device(topo.NIC)
	require.NoError(t, err)
	return device.MAC.String()
}
