package scenarios

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/topo"
)

// S11: while services and their backends change, every new flow finds a backend that
// its service has or had, and none of another's.
func TestServicesChangeUnderTraffic(t *testing.T) {
	t.Parallel()
	everyServer.Run(t, topo.Cluster(3), func(t *testing.T, lab *harness.Lab) {
		client, node1 := lab.Host("client"), lab.Node("node1")
		pods := []*harness.Machine{lab.Pod("web-on-node1"), lab.Pod("web-on-node2"), lab.Pod("web-on-node3"), lab.Pod("client-on-node1")}
		protocols := []protocol{tcp, udp, tcp, udp}
		var services []harness.Service
		for i, p := range protocols {
			served := lab.AddService(t, harness.NodePort(uint16(30080+i), p.port(uint16(8080+i)), pods...))
			services = append(services, served.Service)
		}
		changed := make(chan error, 1)
		go func() { changed <- keepChanging(t.Context(), lab, services) }()
		for i := 0; len(changed) == 0; i = (i + 1) % 2 { // the others come and go
			sent := client.Send(t, protocols[i].request(node1.AddrPort(services[i].NodePort)))
			web := lab.Trace(t, sent).Reached(t, pods...)
			web.Expect(t, protocols[i].request(web.AddrPort(services[i].Port.Number)))
		}
		require.NoError(t, <-changed)
	})
}

// keepChanging gives services other backends a few times. Two are always there, the
// others come and go.
func keepChanging(ctx context.Context, lab *harness.Lab, services []harness.Service) error {
	for i := range 12 {
		changed := slices.Clone(services[:2+i%3])
		for j := range changed {
			changed[j].Backends = services[j].Backends[(i+j)%len(services[j].Backends):]
		}
		if err := lab.Serve(ctx, changed); err != nil {
			return err
		}
	}
	return nil
}
