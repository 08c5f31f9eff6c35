package scenarios

import (
	"testing"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/ebpf"
	"github.com/skbench/skbench/topo"
)

// C3: the host's netfilter sees nothing of what eBPF routes. Counting rules stand
// in every chain of every table, and the same rules count each packet where the
// kernel forwards.
func TestHostRoutingBypassesNetfilter(t *testing.T) {
	t.Parallel()
	exchange := func(t *testing.T, lab *harness.Lab, p protocol) (request, reply *harness.Trace) {
		client, web := lab.Pod("client-on-node1"), lab.Pod("web-on-node2")
		sent := client.Send(t, p.request(web.AddrPort(80)))
		arrived := web.Expect(t, p.request(web.AddrPort(80)))
		answer := web.Send(t, p.reply(arrived))
		client.Expect(t, p.reply(sent))
		return lab.Trace(t, arrived), lab.Trace(t, answer)
	}

	harness.Datapaths{ebpf.Datapath()}.Run(t, topo.Cluster(2), func(t *testing.T, lab *harness.Lab) {
		each(t, []protocol{tcp, udp, echo}, func(t *testing.T, p protocol) {
			request, reply := exchange(t, lab, p)
			request.Never(t, "node1 netfilter", "node2 netfilter")
			reply.Never(t, "node1 netfilter", "node2 netfilter")
		})
		for _, node := range []string{"node1", "node2"} {
			for chain, packets := range lab.Node(node).Netfilter(t) {
				if packets != 0 {
					t.Errorf("%s %s saw %d packets, want 0", node, chain, packets)
				}
			}
		}
	})

	kernelDatapaths.Run(t, topo.Cluster(2), func(t *testing.T, lab *harness.Lab) {
		each(t, []protocol{tcp, udp, echo}, func(t *testing.T, p protocol) {
			request, _ := exchange(t, lab, p)
			for _, node := range []string{"node1", "node2"} {
				request.Passed(t, node+" netfilter raw PREROUTING", node+" netfilter mangle PREROUTING",
					node+" netfilter mangle FORWARD", node+" netfilter filter FORWARD", node+" netfilter mangle POSTROUTING")
			}
		})
	})
}
