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

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/kubeproxy"
	"github.com/skbench/skbench/harness/datapath/kubeproxy/example"
	"github.com/skbench/skbench/topo"
)

var rewrite = flag.Bool("update", false, "write the golden files anew")

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

	less := example.Plain()
	less[0].Backends = less[0].Backends[:1]
	for _, c := range []struct {
		golden      string
		node        kubeproxy.Node
		before, now []harness.Service
	}{
		{"ipv4.rules", on("node1", topo.IPv4), nil, example.Plain()},
		{"ipv6.rules", on("node1", topo.IPv6), nil, example.Plain()},
		{"with_backend.rules", on("node2", topo.IPv4), nil, example.Full()},
		{"without_backend.rules", on("node1", topo.IPv4), nil, example.Full()},
		{"added.rules", on("node2", topo.IPv4), example.Plain(), append(example.Plain(), example.Full()...)},
		{"changed.rules", on("node1", topo.IPv4), example.Plain(), less},
		{"removed.rules", on("node1", topo.IPv4), example.Plain(), example.Plain()[1:]},
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
			s := example.Full()[0]
			s.Name, s.NodePort, s.HostPort = fmt.Sprint("service", i), uint16(20000+i), uint16(10000+i)
			s.ClusterIPv4 = netip.AddrFrom4([4]byte{192, 168, byte(i >> 8), byte(i)})
			all = append(all, s)
		}
		return all
	}
	changed := many(0, 500)
	for i := range changed {
		changed[i].Backends = append(changed[i].Backends, example.Backend("node1", 1))
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
