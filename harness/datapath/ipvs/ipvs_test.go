package ipvs

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/kubeproxy"
	"github.com/skbench/skbench/harness/datapath/kubeproxy/example"
	"github.com/skbench/skbench/topo"
)

var rewrite = flag.Bool("update", false, "write the golden files anew")

// services are those that iptables and nftables write down too, the first with external addresses.
func services() []harness.Service {
	all := slices.Concat(example.Plain(), example.Full())
	all[0].ExternalIPs = []netip.Addr{netip.MustParseAddr("198.51.100.9"), netip.MustParseAddr("2001:db8::9")}
	return all
}

// IPVS and its rules, as ipvsadm-save(8) and iptables-save(8) would print them.
func TestNodeIsToldWhatKubeProxySays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		golden, node string
		family       topo.Family
	}{
		{"with_backend_ipv4.rules", "node2", topo.IPv4},
		{"with_backend_ipv6.rules", "node2", topo.IPv6},
		{"without_backend.rules", "node1", topo.IPv4},
	} {
		t.Run(c.golden, func(t *testing.T) {
			t.Parallel()
			node := kubeproxy.On(topo.Cluster(2), c.node, c.family)
			p := &proxy{node: node, marks: map[string]uint32{}}
			var b strings.Builder
			for _, s := range node.Services(services()) {
				for _, v := range virtuals(node, s, p.mark) {
					made := service(v.frontend, uint32(s.Affinity/time.Second))
					fmt.Fprintf(&b, "-A %s -s %s", v.frontend, made.SchedName)
					if made.Flags == persistent {
						fmt.Fprintf(&b, " -p %d", made.Timeout)
					}
					fmt.Fprintln(&b)
					for _, e := range v.endpoints {
						fmt.Fprintf(&b, "-a %s -r %s -m\n", v.frontend, e)
					}
				}
			}
			b.WriteString(setUp(node))
			b.WriteString(rules(node, node.Services(services()), p.mark))

			path := filepath.Join("testdata", c.golden)
			if *rewrite {
				require.NoError(t, os.WriteFile(path, []byte(b.String()), 0o644))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, string(want), b.String())
		})
	}
}

// The rules say it in words that iptables-restore knows, whether the kernel has IPVS
// or not.
func TestRulesAreTaken(t *testing.T) {
	t.Parallel()
	network, err := topo.Up(t.Context(), topo.Cluster(2))
	require.NoError(t, err)
	t.Cleanup(func() { network.Close() })
	for _, name := range []string{"node1", "node2"} {
		machine, _ := network.Machine(name)
		for _, family := range []topo.Family{topo.IPv4, topo.IPv6} {
			node := kubeproxy.On(topo.Cluster(2), name, family)
			p := &proxy{node: node, marks: map[string]uint32{}}
			require.NoError(t, machine.RestoreIptables(t.Context(), family, setUp(node)))
			for _, all := range [][]harness.Service{services(), services()[:1], nil} {
				require.NoError(t, machine.RestoreIptables(t.Context(), family, rules(node, node.Services(all), p.mark)))
			}
		}
	}
}

func TestMarksAreAServicesOwn(t *testing.T) {
	t.Parallel()
	p := &proxy{marks: map[string]uint32{}}
	require.Equal(t, uint32(0x10000), p.mark("a"))
	require.Equal(t, uint32(0x20000), p.mark("b"))
	require.Equal(t, uint32(0x10000), p.mark("a"))
	delete(p.marks, "a")
	require.Equal(t, uint32(0x10000), p.mark("c"))
}
