package iptables

import (
	"flag"
	"fmt"
	"maps"
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
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

var rewrite = flag.Bool("update", false, "write the golden files anew")

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

// golden holds a text against the file of that name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *rewrite {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func on(node string, family topo.Family) kubeproxy.Node {
	return kubeproxy.On(topo.Cluster(2), node, family)
}

func TestRulesAreThoseOfKubeProxy(t *testing.T) {
	t.Parallel()
	golden(t, "set_up_ipv4.rules", SetUp(on("node1", topo.IPv4)))
	golden(t, "set_up_ipv6.rules", SetUp(on("node1", topo.IPv6)))

	less := plain()
	less[0].Backends = less[0].Backends[:1]
	for _, c := range []struct {
		golden      string
		node        kubeproxy.Node
		before, now []harness.Service
	}{
		{"ipv4.rules", on("node1", topo.IPv4), nil, plain()},
		{"ipv6.rules", on("node1", topo.IPv6), nil, plain()},
		{"with_backend.rules", on("node2", topo.IPv4), nil, full()},
		{"without_backend.rules", on("node1", topo.IPv4), nil, full()},
		{"added.rules", on("node2", topo.IPv4), plain(), append(plain(), full()...)},
		{"changed.rules", on("node1", topo.IPv4), plain(), less},
		{"removed.rules", on("node1", topo.IPv4), plain(), plain()[1:]},
	} {
		texts := update(c.node, kubeproxy.Diff(c.node.Services(c.before), c.node.Services(c.now)))
		require.Len(t, texts, 1, "a handful of services change in one step")
		golden(t, c.golden, texts[0])
	}
}

// Many services come, change and go in steps, of which one alone is seen by packets:
// a step names no chain that is not there, and deletes none that is in use.
func TestManyServicesChangeInSteps(t *testing.T) {
	t.Parallel()
	many := func(first, last int) (all []harness.Service) {
		for i := first; i < last; i++ {
			s := full()[0]
			s.Name, s.NodePort, s.HostPort = fmt.Sprint("service", i), uint16(20000+i), uint16(10000+i)
			s.ClusterIPv4 = netip.AddrFrom4([4]byte{192, 168, byte(i >> 8), byte(i)})
			all = append(all, s)
		}
		return all
	}
	changed := many(0, 500)
	for i := range changed {
		changed[i].Backends = append(changed[i].Backends, backend("node1", 1))
	}
	node := on("node2", topo.IPv4)
	tables := netfilter{}
	tables.restore(t, SetUp(node))
	empty := len(tables["nat"])
	var before []harness.Service
	for _, step := range []struct {
		name     string
		services []harness.Service
		texts    int
	}{
		{"come", many(0, 500), 4},
		{"change", changed, 1},
		{"one goes", changed[1:], 1},
		{"others come and go", many(300, 800), 5},
		{"go", nil, 4},
	} {
		texts := update(node, kubeproxy.Diff(node.Services(before), node.Services(step.services)))
		require.Len(t, texts, step.texts, step.name)
		for _, text := range texts {
			tables.restore(t, text)
		}
		before = step.services
	}
	require.Len(t, tables["nat"], empty, "chains are left over")
}

// netfilter is what texts for iptables-restore --noflush leave: table → chain → rules.
type netfilter map[string]map[string][]string

func (n netfilter) restore(t *testing.T, text string) {
	t.Helper()
	table := ""
	there := func(chain, line string) {
		t.Helper()
		if _, ok := n[table][chain]; !ok {
			t.Fatalf("no chain %s in %s: %s", chain, table, line)
		}
	}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "*"):
			table = words[0][1:]
			if n[table] == nil {
				n[table] = map[string][]string{"PREROUTING": nil, "INPUT": nil, "FORWARD": nil, "OUTPUT": nil, "POSTROUTING": nil}
			}
		case strings.HasPrefix(line, ":"):
			n[table][words[0][1:]] = nil
		case words[0] == "-A":
			there(words[1], line)
			n[table][words[1]] = append(n[table][words[1]], line)
		case words[0] == "-X":
			there(words[1], line)
			require.Empty(t, n[table][words[1]], line)
			delete(n[table], words[1])
		case words[0] == "COMMIT":
			for _, rule := range slices.Concat(slices.Collect(maps.Values(n[table]))...) {
				words := strings.Fields(rule)
				if target := words[slices.Index(words, "-j")+1]; !slices.Contains(targets, target) {
					there(target, rule)
				}
			}
		}
	}
}

var targets = []string{"ACCEPT", "DROP", "REJECT", "RETURN", "MARK", "MASQUERADE", "DNAT"}
