package scenarios

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/ebpf"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// C4: kernels without the redirect helpers (before 5.10) deliver by bpf_redirect,
// through the receiver's own device, and the trace says so.
func TestFallbackToRedirect(t *testing.T) {
	t.Parallel()
	old := harness.Datapaths{ebpf.Datapath(ebpf.WithoutRedirectHelpers())}
	old.Run(t, topo.Cluster(2), func(t *testing.T, lab *harness.Lab) {
		client := lab.Pod("client-on-node1")
		local, remote := lab.Pod("web-on-node1"), lab.Pod("web-on-node2")
		each(t, []protocol{tcp, udp, echo}, func(t *testing.T, p protocol) {
			client.Send(t, p.request(local.AddrPort(80)))
			arrived := local.Expect(t, p.request(local.AddrPort(80)))
			requireHops(t, arrived, 1)
			lab.Trace(t, arrived).Passed(t,
				"node1/lxc-client from-container REDIRECT", "node1/lxc-web out", "web-on-node1/eth0 in")

			client.Send(t, p.request(remote.AddrPort(80)))
			arrived = remote.Expect(t, p.request(remote.AddrPort(80)))
			requireHops(t, arrived, 2)
			lab.Trace(t, arrived).Passed(t,
				"node1/lxc-client from-container REDIRECT", "node1/eth0 out", "node2/eth0 in",
				"node2/eth0 from-netdev REDIRECT", "node2/lxc-web out", "web-on-node2/eth0 in")
		})
	})
}

// C4: where the kernel has no TCX (before 6.6) TC programs hang on as clsact
// filters, and where the driver has no XDP it runs in the stack: what users see
// is the same.
func TestFallbackHooks(t *testing.T) {
	t.Parallel()
	fallbacks := harness.Datapaths{ebpf.Datapath(ebpf.WithClsact()), ebpf.Datapath(ebpf.GenericXDP())}
	fallbacks.Run(t, topo.Cluster(2), func(t *testing.T, lab *harness.Lab) {
		pod, client, node1 := lab.Pod("client-on-node1"), lab.Host("client"), lab.Node("node1")
		for _, name := range []string{"web-on-node1", "web-on-node2"} {
			t.Run(name, func(t *testing.T) {
				web := lab.Pod(name)
				web.ServeHTTP(t, 80, says(name))
				lab.AddService(t, harness.NodePort(30080, packet.TCPPort(80), web))
				require.Equal(t, name, pod.Get(t, web.AddrPort(80)))
				require.Equal(t, name, client.Get(t, node1.AddrPort(30080)))
			})
		}
		client.ServeHTTP(t, 443, says("world"))
		require.Equal(t, "world", pod.Get(t, client.AddrPort(443)))

		// Crafted packets show at which hook they were seen.
		sent := client.Send(t, tcp.request(node1.AddrPort(9)))
		lab.Trace(t, sent).Passed(t, "client/eth0 out", "node1/eth0 xdp PASS", "node1/eth0 from-netdev PASS")
	})
}
