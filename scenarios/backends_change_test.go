package scenarios

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// S11: a backend that is terminating keeps its flows, and one that is gone those of
// TCP; new flows avoid both, and UDP does not stay with one that is gone.
func TestBackendGoes(t *testing.T) {
	t.Parallel()
	everyServer.Run(t, topo.Cluster(2), func(t *testing.T, lab *harness.Lab) {
		old, other := lab.Pod("web-on-node1"), lab.Pod("web-on-node2")
		for _, c := range []struct {
			name string
			from *harness.Machine
		}{{"from the world", lab.Host("client")}, {"from a pod", lab.Pod("client-on-node1")}} {
			t.Run(c.name, func(t *testing.T) {
				each(t, []protocol{tcp, udp}, func(t *testing.T, p protocol) {
					both := harness.NodePort(30080, p.port(80), old, other)
					one := both
					one.Backends = both.Backends[:1]
					service := lab.AddService(t, one)
					at := lab.Node("node1").AddrPort(30080)
					running := start(t, p, c.from, at, old)

					service.Change(t, func(s *harness.Service) {
						s.Backends = slices.Clone(both.Backends)
						s.Backends[0].Terminating = true
					})
					running.goesOn(t, old)
					for range 8 {
						requireServed(t, p, c.from, at, other)
					}

					service.Change(t, func(s *harness.Service) { s.Backends = both.Backends[1:] })
					if p.name == tcp.name {
						running.goesOn(t, old)
					} else {
						running.goesOn(t, other)
					}
					for range 8 {
						requireServed(t, p, c.from, at, other)
					}
				})
			})
		}
	})
}

// S11: where all backends are terminating they are better than none.
func TestAllBackendsTerminating(t *testing.T) {
	t.Parallel()
	everyServer.Run(t, topo.Cluster(1), func(t *testing.T, lab *harness.Lab) {
		web, at := lab.Pod("web-on-node1"), lab.Node("node1").AddrPort(30080)
		each(t, []protocol{tcp, udp}, func(t *testing.T, p protocol) {
			service := harness.NodePort(30080, p.port(80), web)
			service.Backends[0].Terminating = true
			service.ExternalTraffic = harness.Local
			served := lab.AddService(t, service)
			requireServed(t, p, lab.Host("client"), at, web)
			requireServed(t, p, lab.Pod("client-on-node1"), served.AddrPort(), web)
		})
	})
}

// S11: services come and go under the flows of others.
func TestServiceGoes(t *testing.T) {
	t.Parallel()
	everyServer.Run(t, topo.Cluster(2), func(t *testing.T, lab *harness.Lab) {
		client, web, at := lab.Host("client"), lab.Pod("web-on-node2"), lab.Node("node1").AddrPort(30080)
		each(t, []protocol{tcp, udp}, func(t *testing.T, p protocol) {
			lab.AddService(t, harness.NodePort(30080, p.port(80), web))
			running := start(t, p, client, at, web)
			short := lab.AddService(t, harness.NodePort(30081, p.port(81), web))
			running.goesOn(t, web)
			client.Send(t, p.request(lab.Node("node1").AddrPort(30081)))
			web.Expect(t, p.request(web.AddrPort(81)))
			short.Remove(t)
			running.goesOn(t, web)
			client.Send(t, p.request(lab.Node("node1").AddrPort(30081)))
			web.ExpectNone(t, p.request(web.AddrPort(81)))
		})
	})
}

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

// flow is one that is under way.
type flow struct {
	protocol protocol
	client   *harness.Machine
	sent     *packet.Packet // the first packet, from the client
	answered *packet.Packet // the first answer, as the client got it
}

// start begins a flow to a service that web answers.
func start(t *testing.T, p protocol, client *harness.Machine, at netip.AddrPort, web *harness.Machine) flow {
	t.Helper()
	sent := client.Send(t, p.request(at))
	web.Send(t, p.reply(web.Expect(t, p.request(web.AddrPort(80)))))
	return flow{p, client, sent, client.Expect(t, p.reply(sent))}
}

// goesOn fails unless the flow's next packet reaches web.
func (f flow) goesOn(t *testing.T, web *harness.Machine) {
	t.Helper()
	next := f.protocol.requestFrom(f.sent.Src().Port(), f.sent.Dst())
	if f.protocol.name == tcp.name {
		next = f.answered.Reply(packet.ACK)
	}
	f.client.Send(t, next)
	if f.protocol.name == tcp.name {
		web.Expect(t, packet.TCP{Dst: web.AddrPort(80), Flags: packet.ACK})
	} else {
		web.Expect(t, f.protocol.request(web.AddrPort(80)))
	}
}
