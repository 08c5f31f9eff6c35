package harness_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// What cannot be served is one clear error, and what is served stays as it is.
func TestServicesAreChecked(t *testing.T) {
	t.Parallel()
	lab := harness.Start(t, topo.Cluster(2), kernel{})
	web, far := lab.Pod("web-on-node1"), lab.Pod("web-on-node2")
	node1 := lab.Node("node1")
	first := harness.NodePort(30080, packet.TCPPort(80), web)
	first.Name, first.ExternalIPs = "first", []netip.Addr{netip.MustParseAddr("203.0.113.1")}
	served := lab.AddService(t, first)

	for _, c := range []struct {
		says   string
		change func(*harness.Service)
	}{
		{`two services are called "first"`, func(s *harness.Service) { s.Name = "first" }},
		{`service "second" has no port: say packet.TCPPort or packet.UDPPort`, func(s *harness.Service) { s.Port = packet.Port{} }},
		{`service "second" is of protocol ICMP: only TCP and UDP have ports`, func(s *harness.Service) { s.Port.Protocol = packet.ProtocolICMP }},
		{`keeps its clients for -1s`, func(s *harness.Service) { s.Affinity = -time.Second }},
		{`has a source range that is none`, func(s *harness.Service) { s.SourceRanges = make([]netip.Prefix, 1) }},
		{`has an external address that is none`, func(s *harness.Service) { s.ExternalIPs = make([]netip.Addr, 1) }},

		{`services "first" and "second" are both at TCP 172.16.0.1:30080: change one`, func(s *harness.Service) { s.NodePort = 30080 }},
		{`services "first" and "second" are both at TCP 172.16.0.1:30080`, func(s *harness.Service) { s.HostPort = 30080 }},
		{`services "first" and "second" are both at TCP 192.168.0.1:80`, func(s *harness.Service) { s.ClusterIPv4 = served.ClusterIPv4 }},
		{`services "first" and "second" are both at TCP 203.0.113.1:80`, func(s *harness.Service) { s.LoadBalancerIPs = first.ExternalIPs }},
		{`services "first" and "second" are both at TCP 172.16.0.1:30080`, func(s *harness.Service) {
			s.Port, s.ExternalIPs = packet.TCPPort(30080), []netip.Addr{node1.Addr()}
		}},
		{`service "second" is at TCP 172.16.0.1:9080 twice`, func(s *harness.Service) { s.NodePort, s.HostPort = 9080, 9080 }},
		{`service "second" is at TCP 172.16.0.1:9080 twice`, func(s *harness.Service) {
			s.HostPort = 9080
			s.Backends = append(s.Backends, harness.ClusterIP(s.Port, 8081, web).Backends...)
		}},

		{`has a backend "gone" that has no address`, func(s *harness.Service) { s.Backends = harness.NodePort(0, s.Port, lab.Pod("gone")).Backends }},
		{`has a backend "web-on-node1" that has no port`, func(s *harness.Service) { s.Backends[0].Port = 0 }},
		{`has the backend "web-on-node1" twice`, func(s *harness.Service) { s.Backends = append(s.Backends, s.Backends...) }},
		{`has a backend "web-on-node1" of no node`, func(s *harness.Service) { s.ExternalTraffic, s.Backends[0].Node = harness.Local, "" }},
		{`service "second" is its own backend at TCP 10.0.1.1:80`, func(s *harness.Service) { s.ExternalIPs = []netip.Addr{web.Addr()} }},
		{`service "second" is its own backend at TCP [fd00:10:0:1::1]:80`, func(s *harness.Service) { s.ClusterIPv6 = s.Backends[0].IPv6 }},
	} {
		t.Run(c.says, func(t *testing.T) {
			second := harness.ClusterIP(packet.TCPPort(80), 80, web)
			second.Name = "second"
			c.change(&second)
			require.Contains(t, failure(t, func(t testing.TB) { lab.AddService(t, second) }), c.says)
		})
	}

	// The same number may be a node port of another protocol, and a host port where the backends are.
	lab.AddService(t, harness.NodePort(30080, packet.UDPPort(80), web))
	spread := harness.ClusterIP(packet.TCPPort(80), 80, web, far)
	spread.HostPort = 9080
	lab.AddService(t, spread)
}

// A change that cannot be leaves the service as it was, to others and to its holder.
func TestChangeIsChecked(t *testing.T) {
	t.Parallel()
	lab := harness.Start(t, topo.Cluster(1), kernel{})
	served := lab.AddService(t, harness.NodePort(30080, packet.TCPPort(80), lab.Pod("web-on-node1")))
	before := served.Service
	failure(t, func(t testing.TB) {
		served.Change(t, func(s *harness.Service) { s.Backends[0].Port, s.NodePort = 0, 30081 })
	})
	require.Equal(t, before, served.Service)
	require.EqualValues(t, 80, served.Backends[0].Port)
	lab.AddService(t, harness.NodePort(30081, packet.TCPPort(80)))
}
