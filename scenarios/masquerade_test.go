package scenarios

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// C6: a pod reaches the world with its node's address, and gets the reply.
func TestPodToWorldIsMasqueraded(t *testing.T) {
	t.Parallel()
	everyDatapath.Run(t, topo.Cluster(1), func(t *testing.T, lab *harness.Lab) {
		pod, node, world := lab.Pod("web-on-node1"), lab.Node("node1"), lab.Host("client")
		each(t, []protocol{tcp, udp, echo}, func(t *testing.T, p protocol) {
			sent := pod.Send(t, p.request(world.AddrPort(443)))
			request := world.Expect(t, p.request(world.AddrPort(443)))
			require.Equal(t, node.Addr(), request.Src().Addr(), "the world sees the node, not the pod")
			requireHops(t, request, 1)

			world.Send(t, p.reply(request))
			pod.Expect(t, p.reply(sent))
		})
	})
}

// C6: two pods that send from one port to one address of the world get ports of
// their own, and each its own reply. The port is one that masquerading keeps as
// long as it can, so both would have it.
func TestMasqueradedPortsDoNotCollide(t *testing.T) {
	t.Parallel()
	everyDatapath.Run(t, topo.Cluster(1), func(t *testing.T, lab *harness.Lab) {
		pods := []*harness.Machine{lab.Pod("web-on-node1"), lab.Pod("client-on-node1")}
		world := lab.Host("client")
		each(t, []protocol{tcp, udp, echo}, func(t *testing.T, p protocol) {
			first := pods[0].Send(t, p.requestFrom(50000, world.AddrPort(443)))
			firstSeen := world.Expect(t, p.request(world.AddrPort(443)))
			second := pods[1].Send(t, p.requestFrom(50000, world.AddrPort(443)))
			secondSeen := world.Expect(t, p.request(world.AddrPort(443)))
			require.NotEqual(t, sourcePort(firstSeen), sourcePort(secondSeen), "two flows of one node need ports of their own")

			world.Send(t, p.reply(secondSeen))
			pods[1].Expect(t, p.reply(second))
			world.Send(t, p.reply(firstSeen))
			pods[0].Expect(t, p.reply(first))
		})
	})
}

// C6: a pod and its node reach each other without translation.
func TestPodAndHostReachEachOther(t *testing.T) {
	t.Parallel()
	everyDatapath.Run(t, topo.Cluster(2), func(t *testing.T, lab *harness.Lab) {
		pod := lab.Pod("web-on-node1")
		pod.ServeHTTP(t, 80, says("pod"))
		for _, name := range []string{"node1", "node2"} {
			node := lab.Node(name)
			node.ServeHTTP(t, 8080, says(name))
			require.Equal(t, name, pod.Get(t, node.AddrPort(8080)), "pod to %s", name)
			require.Equal(t, "pod", node.Get(t, pod.AddrPort(80)), "%s to pod", name)
			pod.Ping(t, node.Addr())
			node.Ping(t, pod.Addr())
		}
	})
}

// C6: real connections and pings to the world, through the same translation.
func TestPodToWorldConnection(t *testing.T) {
	t.Parallel()
	everyDatapath.Run(t, topo.Cluster(1), func(t *testing.T, lab *harness.Lab) {
		pod, world := lab.Pod("web-on-node1"), lab.Host("client")
		world.ServeHTTP(t, 443, says("world"))
		require.Equal(t, "world", pod.Get(t, world.AddrPort(443)))
		pod.Ping(t, world.Addr())
	})
}

// sourcePort is the port, or the echo's ID, that tells a packet's flow.
func sourcePort(p *packet.Packet) uint16 {
	if icmp, ok := p.ICMP(); ok {
		return icmp.ID
	}
	if icmp, ok := p.ICMPv6(); ok {
		return icmp.ID
	}
	return p.Src().Port()
}
