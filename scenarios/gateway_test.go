package scenarios

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// C7: the pod's gateway answers ARP and neighbour discovery on the veth.
func TestGatewayAnswers(t *testing.T) {
	t.Parallel()
	everyDatapath.Run(t, topo.Cluster(1), func(t *testing.T, lab *harness.Lab) {
		pod := lab.Pod("web-on-node1")
		device, err := lab.Node("node1").Network().Device("lxc-web")
		require.NoError(t, err)
		gateway := pod.Gateway()
		pod.Send(t, packet.WhoHas(gateway))
		pod.Expect(t, packet.IsAt(gateway, device.MAC))
	})
}

// C7: it is the program on the veth that answers, not the node's kernel, which
// holds the gateway's address too and here is kept from answering.
func TestGatewayIsAnsweredByTheProgram(t *testing.T) {
	t.Parallel()
	onlyEBPF.Run(t, topo.Cluster(1), func(t *testing.T, lab *harness.Lab) {
		pod, node := lab.Pod("web-on-node1"), lab.Node("node1").Network()
		require.NoError(t, node.Sysctl("net.ipv4.conf.all.arp_ignore", "8"))
		require.NoError(t, node.RestoreIptables(t.Context(), topo.IPv6,
			"*filter\n-A INPUT -p icmpv6 --icmpv6-type neighbour-solicitation -j DROP\nCOMMIT\n"))
		device, err := node.Device("lxc-web")
		require.NoError(t, err)

		pod.Send(t, packet.WhoHas(pod.Gateway()))
		pod.Expect(t, packet.IsAt(pod.Gateway(), device.MAC))
	})
}
