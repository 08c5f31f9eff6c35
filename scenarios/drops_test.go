package scenarios

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// O1: a drop has a reason, in the packet's trace and in the node's counters.
func TestDropsHaveAReason(t *testing.T) {
	t.Parallel()
	onlyEBPF.Run(t, topo.Cluster(1), func(t *testing.T, lab *harness.Lab) {
		pod, web, node1, client := lab.Pod("client-on-node1"), lab.Pod("web-on-node1"), lab.Node("node1"), lab.Host("client")
		lab.AddService(t, harness.NodePort(30080, packet.TCPPort(80))) // no backends
		for _, c := range []struct {
			name   string
			from   *harness.Machine
			packet packet.Template
			to     *harness.Machine
			where  string
			reason string
		}{
			{"a pod sends from another's address", pod,
				packet.UDP{Src: netip.AddrPortFrom(client.Addr(), 53), Dst: web.AddrPort(53)}, web,
				"node1/lxc-client from-container DROP", "INVALID_SOURCE"},
			{"a service without backends", client,
				packet.TCP{Dst: node1.AddrPort(30080)}, web,
				"node1/eth0 xdp REJECT", "NO_BACKEND"},
		} {
			t.Run(c.name, func(t *testing.T) {
				before := lab.Drops(t)["node1"][c.reason]
				sent := c.from.Send(t, c.packet)
				c.to.ExpectNone(t, packet.Layers{})
				lab.Trace(t, sent).Passed(t, c.where+" "+c.reason)
				require.Equal(t, before+1, lab.Drops(t)["node1"][c.reason])
			})
		}
	})
}
