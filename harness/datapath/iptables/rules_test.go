package iptables

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

var update = flag.Bool("update", false, "write the golden files anew")

// example is a node port with two backends, and a service that has lost all of its own.
func example() []harness.Service {
	backend := func(node int, name string) harness.Backend {
		return harness.Backend{
			Pod: name, IPv4: topo.PodIP(topo.PodsIPv4(node), 1), IPv6: topo.PodIP(topo.PodsIPv6(node), 1), Port: 80,
		}
	}
	return []harness.Service{
		{
			Name: "web", Port: packet.TCPPort(8080), NodePort: 32000,
			ClusterIPv4: netip.MustParseAddr("192.168.0.1"), ClusterIPv6: netip.MustParseAddr("fd00:192:168::1"),
			Backends: []harness.Backend{backend(1, "web-on-node1"), backend(2, "web-on-node2")},
		},
		{
			Name: "gone", Port: packet.UDPPort(53), NodePort: 32001,
			ClusterIPv4: netip.MustParseAddr("192.168.0.2"), ClusterIPv6: netip.MustParseAddr("fd00:192:168::2"),
		},
	}
}

func TestRulesAreThoseOfKubeProxy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		golden           string
		services, before []harness.Service
		family           family
	}{
		{"ipv4.rules", example(), nil, ipv4},
		{"ipv6.rules", example(), nil, ipv6},
		{"removed.rules", nil, example(), ipv4},
	} {
		t.Run(c.golden, func(t *testing.T) {
			t.Parallel()
			got := rules(topo.Cluster(2), c.services, c.before, c.family)
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
