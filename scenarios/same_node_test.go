package scenarios

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/feature"
	"github.com/skbench/skbench/topo"
)

// C1: a pod reaches another of its node.
func TestSameNode(t *testing.T) {
	t.Parallel()
	everyDatapath.Run(t, topo.Cluster(1), func(t *testing.T, lab *harness.Lab) {
		client, web := lab.Pod("client-on-node1"), lab.Pod("web-on-node1")
		each(t, []protocol{tcp, udp, echo}, func(t *testing.T, p protocol) {
			request := client.Send(t, p.request(web.AddrPort(80)))
			arrived := web.Expect(t, p.request(web.AddrPort(80)))
			requireHops(t, arrived, 1)

			web.Send(t, p.reply(arrived))
			requireHops(t, client.Expect(t, p.reply(request)), 1)
		})
	})
}

// C1: the packet goes from the sender's lxc device straight into the receiver's
// eth0, so each lxc device carries only what its own pod sends.
func TestSameNodeSkipsTheReceiversDevice(t *testing.T) {
	feature.Need(t, feature.RedirectPeer)
	t.Parallel()
	onlyEBPF.Run(t, topo.Cluster(1), func(t *testing.T, lab *harness.Lab) {
		client, web := lab.Pod("client-on-node1"), lab.Pod("web-on-node1")
		each(t, []protocol{tcp, udp, echo}, func(t *testing.T, p protocol) {
			sent := client.Send(t, p.request(web.AddrPort(80)))
			request := web.Expect(t, p.request(web.AddrPort(80)))
			lab.Trace(t, request).
				Passed(t, "client-on-node1/eth0 out", "node1/lxc-client in", "node1/lxc-client from-container REDIRECT_PEER", "web-on-node1/eth0 in").
				Never(t, "node1/lxc-web")

			reply := web.Send(t, p.reply(request))
			client.Expect(t, p.reply(sent))
			lab.Trace(t, reply).
				Passed(t, "web-on-node1/eth0 out", "node1/lxc-web in", "node1/lxc-web from-container REDIRECT_PEER", "client-on-node1/eth0 in").
				Never(t, "node1/lxc-client")
		})
	})
}

// C1: what holds for crafted packets holds for a whole connection.
func TestSameNodeConnection(t *testing.T) {
	t.Parallel()
	everyDatapath.Run(t, topo.Cluster(1), func(t *testing.T, lab *harness.Lab) {
		client, web := lab.Pod("client-on-node1"), lab.Pod("web-on-node1")
		web.ServeHTTP(t, 80, says("hello"))
		require.Equal(t, "hello", client.Get(t, web.AddrPort(80)))
		client.Ping(t, web.Addr())
	})
}
