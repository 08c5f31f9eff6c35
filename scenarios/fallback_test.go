package scenarios

import (
	"testing"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/ebpf"
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
