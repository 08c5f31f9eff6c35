package scenarios

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/ebpf"
	"github.com/skbench/skbench/harness/packet"
)

// S7: with Maglev tables every node chooses the same backend for a flow, so that it
// survives a change of its way, and a backend that goes takes hardly any flow but
// its own along: a flow that is new to a node finds the backend that it had.
func TestMaglev(t *testing.T) {
	t.Parallel()
	const backends, flows = 5, 250
	topology := routed(3)
	for i := range backends {
		topology.AddPod(fmt.Sprintf("backend%d-on-node3", i), "node3")
	}
	consistent := harness.Datapaths{ebpf.Datapath(ebpf.WithMaglev(bpf.MinMaglev)), ebpf.Datapath(ebpf.WithMaglev(bpf.MinMaglev), ebpf.WithoutXDP())}
	consistent.Run(t, topology, func(t *testing.T, lab *harness.Lab) {
		var pods []*harness.Machine
		for i := range backends {
			pods = append(pods, lab.Pod(fmt.Sprintf("backend%d-on-node3", i)))
		}
		service := harness.ClusterIP(packet.UDPPort(80), 80, pods...)
		service.ExternalIPs = external
		served := lab.AddService(t, service)
		by := func(node string) (got []string) {
			route(t, lab, node)
			for i := range flows {
				sent := lab.Host("client").Send(t, udp.requestFrom(uint16(20000+i), externalAt(lab, 80)))
				got = append(got, lab.Trace(t, sent).Reached(t, pods...).Name())
			}
			return got
		}

		first := by("node1")
		require.Len(t, distinct(first), backends, "all backends have flows")
		require.Equal(t, first, by("node2"), "another node chooses the same")

		served.Change(t, func(s *harness.Service) { s.Backends = slices.Delete(s.Backends, 2, 3) })
		moved, stayed := 0, 0
		for i, pod := range by("node3") {
			switch {
			case first[i] == pods[2].Name():
				require.NotEqual(t, first[i], pod)
			case first[i] != pod:
				moved++
			default:
				stayed++
			}
		}
		require.LessOrEqual(t, 50*moved, moved+stayed, "of %d flows to other backends %d moved", moved+stayed, moved)
	})
}

// route has the world send what is for the external addresses to a node.
func route(t *testing.T, lab *harness.Lab, node string) {
	t.Helper()
	addr := externalAt(lab, 0).Addr()
	for _, r := range lab.Network().Topology().Routes {
		if r.Prefix.Contains(addr) && r.Machine == "client" {
			require.NoError(t, lab.Host("client").Network().RouteAdd(r.Prefix, lab.Node(node).Addr()))
		}
	}
}
