package kubeproxy_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/kubeproxy"
	"github.com/skbench/skbench/harness/datapath/kubeproxy/example"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

func on(node string, family topo.Family) kubeproxy.Node {
	return kubeproxy.On(topo.Cluster(2), node, family)
}

// web is a service with one backend on each of two nodes.
func web(port packet.Port) harness.Service {
	backend := func(number int) harness.Backend {
		return harness.Backend{
			Node: fmt.Sprintf("node%d", number), Port: 80,
			IPv4: topo.PodIP(topo.PodsIPv4(number), 1), IPv6: topo.PodIP(topo.PodsIPv6(number), 1),
		}
	}
	return harness.Service{
		Name: "web", Port: port, NodePort: 30080,
		ClusterIPv4: netip.MustParseAddr("192.168.0.1"), ClusterIPv6: netip.MustParseAddr("fd00:192:168::1"),
		ExternalIPs:     []netip.Addr{netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("2001:db8::1")},
		LoadBalancerIPs: []netip.Addr{netip.MustParseAddr("203.0.113.1")},
		Backends:        []harness.Backend{backend(1), backend(2)},
	}
}

// describe says of each frontend where it leads to, and who is refused there.
func describe(s kubeproxy.Service) string {
	var b strings.Builder
	list := func(endpoints []netip.AddrPort) string {
		var names []string
		for _, e := range endpoints {
			names = append(names, e.Addr().String())
		}
		return strings.Join(names, ", ")
	}
	for _, f := range s.Frontends {
		where := "node"
		if f.Addr.IsValid() {
			where = f.Addr.String()
		}
		fmt.Fprintf(&b, "%s %d", where, f.Port)
		if f.Served {
			fmt.Fprintf(&b, " to %s", list(s.Endpoints(f.Policy)))
			if f.External && f.Policy == harness.Local {
				fmt.Fprintf(&b, " (pods: %s)", list(s.Cluster))
			}
		}
		if f.Guarded {
			fmt.Fprintf(&b, " from %v", s.Sources)
		}
		if f.Refused != "" {
			fmt.Fprintf(&b, " else %s", f.Refused)
		}
		fmt.Fprintln(&b)
	}
	for _, h := range s.HostPorts {
		fmt.Fprintf(&b, "host port %d to %s\n", h.Port, h.Endpoint.Addr())
	}
	return b.String()
}

func TestWhereFrontendsLead(t *testing.T) {
	t.Parallel()
	terminate := func(numbers ...int) func(*harness.Service) {
		return func(s *harness.Service) {
			for _, n := range numbers {
				s.Backends[n].Terminating = true
			}
		}
	}
	for _, c := range []struct {
		name   string
		node   kubeproxy.Node
		change func(*harness.Service)
		want   string
	}{
		{"everything to everyone", on("node1", topo.IPv4), func(*harness.Service) {}, `
192.168.0.1 8080 to 10.0.1.1, 10.0.2.1
198.51.100.1 8080 to 10.0.1.1, 10.0.2.1
203.0.113.1 8080 to 10.0.1.1, 10.0.2.1
node 30080 to 10.0.1.1, 10.0.2.1
`},
		{"addresses and ranges of the other family do not count", on("node1", topo.IPv6), func(s *harness.Service) {
			s.LoadBalancerIPs = append(s.LoadBalancerIPs, netip.MustParseAddr("2001:db8::2"))
			s.SourceRanges = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		}, `
fd00:192:168::1 8080 to fd00:10:0:1::1, fd00:10:0:2::1
2001:db8::1 8080 to fd00:10:0:1::1, fd00:10:0:2::1
2001:db8::2 8080 to fd00:10:0:1::1, fd00:10:0:2::1
node 30080 to fd00:10:0:1::1, fd00:10:0:2::1
`},
		{"no backends", on("node1", topo.IPv4), func(s *harness.Service) { s.Backends = nil }, `
192.168.0.1 8080 else NO_BACKEND
198.51.100.1 8080 else NO_BACKEND
203.0.113.1 8080 else NO_BACKEND
node 30080 else NO_BACKEND
`},
		{"Local outside", on("node2", topo.IPv4), func(s *harness.Service) { s.ExternalTraffic = harness.Local }, `
192.168.0.1 8080 to 10.0.1.1, 10.0.2.1
198.51.100.1 8080 to 10.0.2.1 (pods: 10.0.1.1, 10.0.2.1)
203.0.113.1 8080 to 10.0.2.1 (pods: 10.0.1.1, 10.0.2.1)
node 30080 to 10.0.2.1 (pods: 10.0.1.1, 10.0.2.1)
`},
		{"Local, and none is", on("node2", topo.IPv4), func(s *harness.Service) {
			s.ExternalTraffic, s.InternalTraffic, s.Backends = harness.Local, harness.Local, s.Backends[:1]
		}, `
192.168.0.1 8080 else NO_LOCAL_BACKEND
198.51.100.1 8080 to  (pods: 10.0.1.1) else NO_LOCAL_BACKEND
203.0.113.1 8080 to  (pods: 10.0.1.1) else NO_LOCAL_BACKEND
node 30080 to  (pods: 10.0.1.1) else NO_LOCAL_BACKEND
`},
		{"only balancers ask where one comes from", on("node1", topo.IPv4), func(s *harness.Service) {
			s.SourceRanges = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
		}, `
192.168.0.1 8080 to 10.0.1.1, 10.0.2.1
198.51.100.1 8080 to 10.0.1.1, 10.0.2.1
203.0.113.1 8080 to 10.0.1.1, 10.0.2.1 from [10.0.0.0/8]
node 30080 to 10.0.1.1, 10.0.2.1
`},
		{"one terminating", on("node1", topo.IPv4), terminate(0), `
192.168.0.1 8080 to 10.0.2.1
198.51.100.1 8080 to 10.0.2.1
203.0.113.1 8080 to 10.0.2.1
node 30080 to 10.0.2.1
`},
		{"all terminating", on("node1", topo.IPv4), terminate(0, 1), `
192.168.0.1 8080 to 10.0.1.1, 10.0.2.1
198.51.100.1 8080 to 10.0.1.1, 10.0.2.1
203.0.113.1 8080 to 10.0.1.1, 10.0.2.1
node 30080 to 10.0.1.1, 10.0.2.1
`},
		{"the only local one terminating", on("node1", topo.IPv4), func(s *harness.Service) {
			s.ExternalTraffic = harness.Local
			terminate(0)(s)
		}, `
192.168.0.1 8080 to 10.0.2.1
198.51.100.1 8080 to 10.0.1.1 (pods: 10.0.2.1)
203.0.113.1 8080 to 10.0.1.1 (pods: 10.0.2.1)
node 30080 to 10.0.1.1 (pods: 10.0.2.1)
`},
		{"a host port leads to the node's own pod, to the end", on("node2", topo.IPv4), func(s *harness.Service) {
			*s = harness.Service{Port: s.Port, HostPort: 8443, ClusterIPv4: s.ClusterIPv4, Backends: s.Backends}
			terminate(1)(s)
		}, `
192.168.0.1 8080 to 10.0.1.1
host port 8443 to 10.0.2.1
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			service := web(packet.TCPPort(8080))
			c.change(&service)
			require.Equal(t, c.want, "\n"+describe(c.node.Services([]harness.Service{service})[0]))
		})
	}
}

func TestStaleFlows(t *testing.T) {
	t.Parallel()
	service := web(packet.UDPPort(53))
	service.ExternalTraffic, service.HostPort = harness.Local, 8053
	service.Backends[1].Terminating = true
	node := on("node1", topo.IPv4)
	stale := node.Stale(node.Services([]harness.Service{service}))
	at := netip.MustParseAddrPort
	for _, c := range []struct {
		name          string
		protocol      uint8
		dst, replySrc string
		stale         bool
	}{
		{"a backend's", unix.IPPROTO_UDP, "192.168.0.1:53", "10.0.1.1:80", false},
		{"a terminating backend's", unix.IPPROTO_UDP, "203.0.113.1:53", "10.0.2.1:80", false},
		{"of one that is no backend", unix.IPPROTO_UDP, "203.0.113.1:53", "10.0.3.1:80", true},
		{"of a port that is no backend's", unix.IPPROTO_UDP, "198.51.100.1:53", "10.0.1.1:81", true},
		{"by the node port", unix.IPPROTO_UDP, node.Addr.String() + ":30080", "10.0.3.1:80", true},
		{"by the host port, of another node", unix.IPPROTO_UDP, node.Addr.String() + ":8053", "10.0.2.1:80", true},
		{"that never had a backend", unix.IPPROTO_UDP, "192.168.0.1:53", "192.168.0.1:53", true},
		{"of TCP", unix.IPPROTO_TCP, "192.168.0.1:53", "10.0.3.1:80", false},
		{"to another port", unix.IPPROTO_UDP, "192.168.0.1:54", "10.0.3.1:80", false},
	} {
		require.Equal(t, c.stale, stale(topo.Flow{Protocol: c.protocol, Dst: at(c.dst), ReplySrc: at(c.replySrc)}), c.name)
	}

	service.Backends = nil
	require.Nil(t, node.Stale(node.Services([]harness.Service{service})), "flows of a service that lost its last backend stay")
	require.Nil(t, node.Stale(node.Services([]harness.Service{web(packet.TCPPort(53))})))
}

func TestServiceWithoutClusterAddress(t *testing.T) {
	t.Parallel()
	for family, addr := range map[topo.Family]string{topo.IPv4: "203.0.113.2", topo.IPv6: "2001:db8::2"} {
		service := on("node1", family).Services(example.WithoutClusterAddress())[0]
		require.Len(t, service.Frontends, 2)
		require.Equal(t, addr, service.Frontends[0].Addr.String())
		require.Equal(t, uint16(32080), service.Frontends[1].Port, "of the node")
		_, served := service.Inside()
		require.False(t, served)
	}
}
