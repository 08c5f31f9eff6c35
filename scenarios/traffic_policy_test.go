package scenarios

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/topo"
)

// S9: with the external policy Local the world finds the backends of the node
// that it asks, and they see the client itself; to pods all backends are open.
func TestExternalTrafficLocal(t *testing.T) {
	t.Parallel()
	everyServer.Run(t, routed(2), func(t *testing.T, lab *harness.Lab) {
		client, pod := lab.Host("client"), lab.Pod("client-on-node1")
		near, far := lab.Pod("web-on-node1"), lab.Pod("web-on-node2")
		each(t, []protocol{tcp, udp}, func(t *testing.T, p protocol) {
			service := harness.NodePort(30080, p.port(80), near, far)
			service.ExternalIPs = external
			service.ExternalTraffic = harness.Local
			served := lab.AddService(t, service)

			for _, c := range []struct {
				at  netip.AddrPort
				web *harness.Machine
			}{
				{lab.Node("node1").AddrPort(30080), near},
				{lab.Node("node2").AddrPort(30080), far},
				{externalAt(lab, 80), near}, // the world routes it to node1
			} {
				for range 8 { // were the other backend possible, one flow in two would find it
					sent, request := requireServed(t, p, client, c.at, c.web)
					require.Equal(t, sent.Src(), request.Src())
				}
			}

			served.Change(t, func(s *harness.Service) { s.Backends = s.Backends[1:] }) // only the far one
			for _, at := range []netip.AddrPort{lab.Node("node1").AddrPort(30080), externalAt(lab, 80)} {
				requireServed(t, p, pod, at, far)
				requireDropped(t, lab, p, client, at, "node1", "NO_LOCAL_BACKEND")
			}
		})
	})
}

// S9: with the internal policy Local pods find the backends of their own node at
// the cluster address.
func TestInternalTrafficLocal(t *testing.T) {
	t.Parallel()
	everyServer.Run(t, topo.Cluster(2), func(t *testing.T, lab *harness.Lab) {
		pod, near, far := lab.Pod("client-on-node1"), lab.Pod("web-on-node1"), lab.Pod("web-on-node2")
		each(t, []protocol{tcp, udp}, func(t *testing.T, p protocol) {
			service := harness.NodePort(30080, p.port(80), near, far)
			service.InternalTraffic = harness.Local
			served := lab.AddService(t, service)
			for range 8 {
				requireServed(t, p, pod, served.AddrPort(), near)
			}
			served.Change(t, func(s *harness.Service) { s.Backends = s.Backends[1:] })
			requireDropped(t, lab, p, pod, served.AddrPort(), "node1", "NO_LOCAL_BACKEND")
			for _, any := range []*harness.Machine{lab.Host("client"), pod} {
				requireServed(t, p, any, lab.Node("node1").AddrPort(30080), far) // which is not internal
			}
		})
	})
}

// S9: source ranges say who may use a balancer's addresses, pods not excepted, and
// nothing of the service's others.
func TestSourceRanges(t *testing.T) {
	t.Parallel()
	everyServer.Run(t, routed(2), func(t *testing.T, lab *harness.Lab) {
		client, stranger, pod := lab.Host("client"), lab.Host("stranger"), lab.Pod("client-on-node1")
		web := lab.Pod("web-on-node2")
		each(t, []protocol{tcp, udp}, func(t *testing.T, p protocol) {
			service := harness.NodePort(30080, p.port(80), web)
			service.LoadBalancerIPs = external
			service.SourceRanges = []netip.Prefix{around(client, 32, 128), netip.MustParsePrefix("192.0.2.0/24")}
			served := lab.AddService(t, service)
			requireServed(t, p, client, externalAt(lab, 80), web)
			for _, other := range []*harness.Machine{stranger, pod} {
				requireDropped(t, lab, p, other, externalAt(lab, 80), "node1", "SOURCE_RANGE")
			}
			requireServed(t, p, stranger, lab.Node("node1").AddrPort(30080), web)
			requireServed(t, p, pod, served.AddrPort(), web)

			// From now on those on the same network may, and pods.
			served.Change(t, func(s *harness.Service) {
				s.SourceRanges = []netip.Prefix{around(client, 16, 48), around(pod, 24, 64)}
			})
			for _, one := range []*harness.Machine{client, stranger, pod} {
				requireServed(t, p, one, externalAt(lab, 80), web)
			}
		})
	})
}

// around is a prefix of so many bits, by family, that holds a machine's address.
func around(m *harness.Machine, ipv4, ipv6 int) netip.Prefix {
	bits := ipv4
	if m.Addr().Is6() {
		bits = ipv6
	}
	return netip.PrefixFrom(m.Addr(), bits).Masked()
}

// requireDropped fails unless what client sends to an address is dropped on a node
// for a reason, in silence.
func requireDropped(t *testing.T, lab *harness.Lab, p protocol, client *harness.Machine, at netip.AddrPort, node, reason string) {
	t.Helper()
	before := lab.Drops(t)[node][reason]
	sent := client.Send(t, p.request(at))
	for _, name := range []string{"web-on-node1", "web-on-node2"} {
		web := lab.Pod(name)
		web.ExpectNone(t, p.request(web.AddrPort(80)))
	}
	client.ExpectNone(t, unreachable(sent))
	require.Equal(t, before+1, lab.Drops(t)[node][reason], "packets that %s dropped for %s", node, reason)
}
