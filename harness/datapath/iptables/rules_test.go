package iptables

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/kubeproxy"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

var update = flag.Bool("update", false, "write the golden files anew")

func backend(node string, number int) harness.Backend {
	return harness.Backend{
		Pod: "web-on-" + node, Node: node, IPv4: topo.PodIP(topo.PodsIPv4(number), 1), IPv6: topo.PodIP(topo.PodsIPv6(number), 1), Port: 80,
	}
}

// plain is a node port with two backends, and a service that has lost all of its own.
func plain() []harness.Service {
	return []harness.Service{
		{
			Name: "web", Port: packet.TCPPort(8080), NodePort: 32000,
			ClusterIPv4: netip.MustParseAddr("192.168.0.1"), ClusterIPv6: netip.MustParseAddr("fd00:192:168::1"),
			Backends: []harness.Backend{backend("node1", 1), backend("node2", 2)},
		},
		{
			Name: "gone", Port: packet.UDPPort(53), NodePort: 32001,
			ClusterIPv4: netip.MustParseAddr("192.168.0.2"), ClusterIPv6: netip.MustParseAddr("fd00:192:168::2"),
		},
	}
}

// full is a service with all that a service can have, its one backend on node2.
func full() []harness.Service {
	return []harness.Service{{
		Name: "all", Port: packet.TCPPort(443), NodePort: 32443, HostPort: 8443,
		ClusterIPv4: netip.MustParseAddr("192.168.0.3"), ClusterIPv6: netip.MustParseAddr("fd00:192:168::3"),
		ExternalIPs:     []netip.Addr{netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("2001:db8::1")},
		LoadBalancerIPs: []netip.Addr{netip.MustParseAddr("203.0.113.1")},
		Affinity:        10 * time.Second,
		ExternalTraffic: harness.Local, InternalTraffic: harness.Local,
		SourceRanges: []netip.Prefix{netip.MustParsePrefix("172.31.0.0/16")},
		Backends:     []harness.Backend{backend("node2", 2)},
	}}
}

func TestRulesAreThoseOfKubeProxy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		golden           string
		node             string
		family           topo.Family
		services, before []harness.Service // none before: the first time
	}{
		{"ipv4.rules", "node1", topo.IPv4, plain(), nil},
		{"ipv6.rules", "node1", topo.IPv6, plain(), nil},
		{"removed.rules", "node1", topo.IPv4, plain()[1:], plain()},
		{"unchanged.rules", "node1", topo.IPv4, append(plain(), full()...), plain()},
		{"with_backend.rules", "node2", topo.IPv4, full(), nil},
		{"without_backend.rules", "node1", topo.IPv4, full(), nil},
	} {
		t.Run(c.golden, func(t *testing.T) {
			t.Parallel()
			node := kubeproxy.On(topo.Cluster(2), c.node, c.family)
			var before []kubeproxy.Service
			if c.before != nil {
				before = node.Services(c.before)
			}
			got := rules(node, node.Services(c.services), before)
			path := filepath.Join("testdata", c.golden)
			if *update {
				require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, string(want), got)
		})
	}
}
