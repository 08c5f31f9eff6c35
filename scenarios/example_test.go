package scenarios

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// The example cluster: one service, node port 32000, cluster port 8080, port 80 of
// a pod on every node, reached from outside by each node and from a pod.
func TestExampleCluster(t *testing.T) {
	t.Parallel()
	everyWay.Run(t, topo.Example(), func(t *testing.T, lab *harness.Lab) {
		nodes := []string{"control-plane", "worker1", "worker2"}
		var pods []*harness.Machine
		for _, node := range nodes {
			pod := lab.Pod("web-on-" + node)
			pod.ServeHTTP(t, 80, says("web"))
			pods = append(pods, pod)
		}
		service := harness.ClusterIP(packet.TCPPort(8080), 80, pods...)
		service.NodePort = 32000
		web := lab.AddService(t, service)

		for _, node := range nodes {
			require.Equal(t, "web", lab.Host("client").Get(t, lab.Node(node).AddrPort(32000)), "by %s", node)
		}
		require.Equal(t, "web", lab.Pod("client-on-worker1").Get(t, web.AddrPort()))
	})
}
