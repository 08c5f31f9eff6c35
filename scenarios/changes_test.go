package scenarios

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/topo"
)

// S11: a flow keeps its backend while its service changes, and chooses anew once
// it is forgotten.
func TestFlowKeepsItsBackendUntilForgotten(t *testing.T) {
	t.Parallel()
	everyBalancer.Run(t, topo.Cluster(3), func(t *testing.T, lab *harness.Lab) {
		client, node1 := lab.Host("client"), lab.Node("node1")
		before, after := lab.Pod("web-on-node2"), lab.Pod("web-on-node3")
		svc := lab.AddService(t, harness.NodePort(30080, tcp.port(80), before, after))
		backends := svc.Backends
		svc.Change(t, func(s *harness.Service) { s.Backends = backends[:1] })

		request := tcp.requestFrom(40000, node1.AddrPort(30080))
		client.Send(t, request)
		before.Expect(t, tcp.request(before.AddrPort(80)))

		svc.Change(t, func(s *harness.Service) { s.Backends = backends })
		for range 8 {
			client.Send(t, request)
			before.Expect(t, tcp.request(before.AddrPort(80)))
		}

		svc.Change(t, func(s *harness.Service) { s.Backends = backends[1:] })
		require.NoError(t, lab.Forget(t.Context()))
		client.Send(t, request)
		after.Expect(t, tcp.request(after.AddrPort(80)))
	})
}
