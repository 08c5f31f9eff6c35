package bpf_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
)

// TestBesideAService has a client talk to a service and, from the same port, to its backend by the backend's own address, the
// one or the other first: the backend sees two clients, and each answer comes from whom the client has asked.
func TestBesideAService(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, c := range []struct {
		name              string
		frontend, backend machine
		client            machine
		asks              hook // where requests come by
		hop               machine
		answers           []hook // where answers do, one after the other
		from, to          machine
	}{
		{"pod to pod of this node", cluster, podB, podA, r.fromA(), lxcA, []hook{r.fromB()}, podB, lxcB},
		{"pod to pod of another node", cluster, remote, podA, r.fromA(), lxcA, []hook{r.fromNetdev()}, node2, node1},
		{"pod to the node itself", cluster, node1, podA, r.fromA(), lxcA, []hook{r.toA(0)}, lxcA, podA},
		{"world to pod", node1, podA, client, r.fromNetdev(), node1, []hook{r.fromA(), r.toNetdev(r.lxcA)}, podA, lxcA},
		{"world to the node itself", node1, node1, client, r.fromNetdev(), node1, []hook{r.toNetdev(0)}, node1, client},
		{"node to pod", node1, podA, node2, r.fromNetdev(), node1, []hook{r.fromA(), r.toNetdev(r.lxcA)}, podA, lxcA},
	} {
		for _, serviceFirst := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/service first=%t", c.name, serviceFirst), func(t *testing.T) {
				eachFlow(t, balanced, func(t *testing.T, f family, p bpf.Protocol) {
					require.NoError(t, r.DeleteFlows())
					service, backend, from := c.frontend.at(f, 30080), c.backend.at(f, 8080), c.client.at(f, 40000)
					r.serve(t, p, service, backend)
					order := []netip.AddrPort{service, backend}
					if !serviceFirst {
						order = []netip.AddrPort{backend, service}
					}
					seen := map[netip.AddrPort]netip.AddrPort{} // who asked, to the backend
					for range 2 {
						for _, to := range order {
							out := r.send(t, c.asks, c.client, c.hop, message(p, from, to))
							require.Equal(t, backend, out.Dst())
							require.Equal(t, from.Addr(), out.Src().Addr())
							if before, asked := seen[to]; asked {
								require.Equal(t, before, out.Src(), "the same flow")
							}
							seen[to] = out.Src()
						}
					}
					require.Equal(t, from, seen[order[0]], "who comes first keeps the port")
					require.NotEqual(t, from, seen[order[1]])
					for _, asked := range order {
						out := r.send(t, c.answers[0], c.from, c.to, message(p, backend, seen[asked]))
						for _, at := range c.answers[1:] {
							out = r.run(t, at, out.Data)
						}
						out.became(t, message(p, asked, from))
					}
					require.Len(t, r.checkFlows(t), 4)
				})
			})
		}
	}
}

// TestBesideAServiceInXDP translates what TC has begun to.
func TestBesideAServiceInXDP(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	eachFlow(t, balanced, func(t *testing.T, f family, p bpf.Protocol) {
		r.serve(t, p, node1.at(f, 30080), podA.at(f, 8080))
		direct := message(p, client.at(f, 40000), podA.at(f, 8080))
		r.send(t, r.fromNetdev(), client, node1, message(p, client.at(f, 40000), node1.at(f, 30080)))
		r.send(t, r.xdp(), client, node1, direct).untouched(t) // the first packet of a flow that leads to no service is TC's
		seen := r.send(t, r.fromNetdev(), client, node1, direct).Src()
		out := r.send(t, r.xdp(), client, node1, direct)
		require.True(t, out.handed)
		require.Equal(t, seen, out.Src())
	})
}

// TestPastServices has packets that lead to no backend of a service leave no trace.
func TestPastServices(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	eachFlow(t, balanced, func(t *testing.T, f family, p bpf.Protocol) {
		r.serve(t, p, cluster.at(f, 80), podB.at(f, 8080), remote.at(f, 8080))
		r.send(t, r.fromA(), podA, lxcA, message(p, podA.at(f, 40000), podB.at(f, 8081)))
		r.send(t, r.fromA(), podA, lxcA, message(p, podA.at(f, 40000), remote2.at(f, 8080)))
		r.send(t, r.fromNetdev(), node2, node1, message(p, remote.at(f, 40000), podB.at(f, 8081)))
		r.send(t, r.fromNetdev(), client, node1, message(p, client.at(f, 40000), node1.at(f, 22)))
		require.Empty(t, r.checkFlows(t))
	})
}

// TestPastServicesWithoutAHop has packets that get no further, and errors, leave no trace though they lead to a backend of a service.
func TestPastServicesWithoutAHop(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	eachFlow(t, balanced, func(t *testing.T, f family, p bpf.Protocol) {
		r.serve(t, p, node1.at(f, 30080), podB.at(f, 8080))
		direct := message(p, client.at(f, 40000), podB.at(f, 8080))
		r.send(t, r.fromNetdev(), client, node1, hops(f, 1), direct).untouched(t)
		r.report(t, r.fromNetdev(), client, node1, troubles[0].about(f, client.addr(f), podB.addr(f), message(p, podB.at(f, 8080), client.at(f, 40000))))
		require.Empty(t, r.checkFlows(t))
	})
}
