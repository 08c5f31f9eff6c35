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
