package scenarios

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/ebpf"
	"github.com/skbench/skbench/topo"
)

// Services that do not fit one node's tables are one error, and change nothing on
// any node, the first ones that they would have fitted not excepted.
func TestTablesAtTheirLimits(t *testing.T) {
	t.Parallel()
	const frontends = 8
	small := ebpf.WithMapSizes(bpf.MapSizes{Flows: 4096, Services: frontends, EventBytes: 1 << 20})
	harness.Datapaths{ebpf.Datapath(small), ebpf.Datapath(small, ebpf.WithoutXDP())}.Run(t, topo.Cluster(2), func(t *testing.T, lab *harness.Lab) {
		client, pod, web := lab.Host("client"), lab.Pod("client-on-node1"), lab.Pod("web-on-node2")
		service := lab.AddService(t, harness.NodePort(30080, tcp.port(80), web)) // 4 frontends: 2 addresses in 2 families
		tooMany := []harness.Service{service.Service}
		for i := range uint16(2) { // 2 more each, and on web's node 2 more for the host port
			s := harness.ClusterIP(tcp.port(8080+i), 80, web)
			s.ClusterIPv4, s.ClusterIPv6, s.HostPort = service.ClusterIPv4, service.ClusterIPv6, 9080+i
			s.Name = []string{"one", "two"}[i]
			tooMany = append(tooMany, s)
		}
		err := lab.Serve(t.Context(), tooMany)
		require.ErrorContains(t, err, "node2: bpf: 12 services, and there is room for 8: load with larger MapSizes.Services")

		for _, node := range []string{"node1", "node2"} {
			requireServed(t, tcp, client, lab.Node(node).AddrPort(30080), web)
		}
		at := service.AddrPort()
		pod.Send(t, tcp.request(netip.AddrPortFrom(at.Addr(), 8080)))
		web.ExpectNone(t, tcp.request(web.AddrPort(80)))

		require.NoError(t, lab.Serve(t.Context(), tooMany[:2]), "one of them fits")
		requireServed(t, tcp, pod, netip.AddrPortFrom(at.Addr(), 8080), web)
		require.NoError(t, lab.Serve(t.Context(), tooMany[:1]))
	})
}
