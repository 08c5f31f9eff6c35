package scenarios

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// everyServer serves all that a service can be reached by.
var everyServer = everyBalancer

// routed is topo.Cluster with a world that routes the addresses of external to
// node1.
func routed(nodes int) topo.Topology {
	t := topo.Cluster(nodes)
	t.AddHost("stranger")
	for _, host := range t.Hosts {
		t.Routes = append(t.Routes,
			topo.Route{Machine: host.Name, Prefix: netip.MustParsePrefix("203.0.113.0/24"), Via: topo.NodeIPv4(1)},
			topo.Route{Machine: host.Name, Prefix: netip.MustParsePrefix("2001:db8:113::/48"), Via: topo.NodeIPv6(1)})
	}
	return t
}

// external is an address for each family that belongs to no machine.
var external = []netip.Addr{netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("2001:db8:113::1")}

// externalAt is a port on external, in the lab's family.
func externalAt(lab *harness.Lab, port uint16) netip.AddrPort {
	if lab.Family() == topo.IPv6 {
		return netip.AddrPortFrom(external[1], port)
	}
	return netip.AddrPortFrom(external[0], port)
}

// requireServed fails unless client, asking at an address, is answered by web's
// port 80 as if by that address. It returns the request as web got it.
func requireServed(t *testing.T, p protocol, client *harness.Machine, at netip.AddrPort, web *harness.Machine) (sent, request *packet.Packet) {
	t.Helper()
	sent = client.Send(t, p.request(at))
	request = web.Expect(t, p.request(web.AddrPort(80)))
	web.Send(t, p.reply(request))
	client.Expect(t, p.reply(sent))
	return sent, request
}

// S2: an external address leads the world and pods to the service, wherever the
// backend is.
func TestExternalIP(t *testing.T) {
	t.Parallel()
	everyServer.Run(t, routed(2), func(t *testing.T, lab *harness.Lab) {
		eachWeb(t, lab, func(t *testing.T, p protocol, web *harness.Machine) {
			service := harness.ClusterIP(p.port(8080), 80, web)
			service.ExternalIPs = external
			lab.AddService(t, service)
			requireServed(t, p, lab.Host("client"), externalAt(lab, 8080), web)
			requireServed(t, p, lab.Pod("client-on-node1"), externalAt(lab, 8080), web)
		})
	})
}

// S2: so does an address that a balancer outside gave to the service.
func TestLoadBalancerIP(t *testing.T) {
	t.Parallel()
	everyServer.Run(t, routed(2), func(t *testing.T, lab *harness.Lab) {
		eachWeb(t, lab, func(t *testing.T, p protocol, web *harness.Machine) {
			service := harness.ClusterIP(p.port(8080), 80, web)
			service.LoadBalancerIPs = external
			lab.AddService(t, service)
			requireServed(t, p, lab.Host("client"), externalAt(lab, 8080), web)
			requireServed(t, p, lab.Pod("client-on-node1"), externalAt(lab, 8080), web)
		})
	})
}

// S2: a node port is for pods of the node too, packet by packet. (What it is to
// the world is in nodeport_test.go.)
func TestNodePortFromPod(t *testing.T) {
	t.Parallel()
	everyServer.Run(t, topo.Cluster(2), func(t *testing.T, lab *harness.Lab) {
		eachWeb(t, lab, func(t *testing.T, p protocol, web *harness.Machine) {
			lab.AddService(t, harness.NodePort(30080, p.port(80), web))
			for _, node := range []string{"node1", "node2"} { // the pod's own, and another
				requireServed(t, p, lab.Pod("client-on-node1"), lab.Node(node).AddrPort(30080), web)
			}
		})
	})
}

// S2: a host port leads to the pod that asked for it, on its own node alone, and
// keeps the client's address.
func TestHostPort(t *testing.T) {
	t.Parallel()
	everyServer.Run(t, topo.Cluster(2), func(t *testing.T, lab *harness.Lab) {
		web, client := lab.Pod("web-on-node1"), lab.Host("client")
		lab.Node("node2").ServeHTTP(t, 9080, says("node2"))
		each(t, []protocol{tcp, udp}, func(t *testing.T, p protocol) {
			service := harness.ClusterIP(p.port(8080), 80, web)
			service.HostPort = 9080
			lab.AddService(t, service)

			sent, request := requireServed(t, p, client, lab.Node("node1").AddrPort(9080), web)
			require.Equal(t, sent.Src(), request.Src())
			requireServed(t, p, lab.Pod("client-on-node1"), lab.Node("node1").AddrPort(9080), web)

			require.Equal(t, "node2", client.Get(t, lab.Node("node2").AddrPort(9080)), "the port is another node's own")
		})
	})
}

// eachWeb runs a scenario for each protocol, with a backend near and one far.
func eachWeb(t *testing.T, lab *harness.Lab, scenario func(*testing.T, protocol, *harness.Machine)) {
	t.Helper()
	for _, name := range []string{"web-on-node1", "web-on-node2"} {
		t.Run(name, func(t *testing.T) {
			each(t, []protocol{tcp, udp}, func(t *testing.T, p protocol) { scenario(t, p, lab.Pod(name)) })
		})
	}
}
