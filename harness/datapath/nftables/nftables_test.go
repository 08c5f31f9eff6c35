package nftables

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"math/bits"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	nft "github.com/google/nftables"
	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/kubeproxy"
	"github.com/skbench/skbench/harness/datapath/kubeproxy/example"
	"github.com/skbench/skbench/topo"
)

var rewrite = flag.Bool("update", false, "write the golden files anew")

var goldens = []struct {
	file     string
	node     string
	family   topo.Family
	services []harness.Service
}{
	{"ipv4.nft", "node1", topo.IPv4, example.Plain()},
	{"ipv6.nft", "node1", topo.IPv6, example.Plain()},
	{"with_backend.nft", "node2", topo.IPv4, example.Full()},
	{"without_backend.nft", "node1", topo.IPv6, example.Full()},
}

func TestTableIsThatOfKubeProxy(t *testing.T) {
	t.Parallel()
	for _, c := range goldens {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			node := kubeproxy.On(topo.Cluster(2), c.node, c.family)
			got := table(node, rules(node, node.Services(c.services)))
			path := filepath.Join("testdata", c.file)
			if *rewrite {
				require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, string(want), got)
		})
	}
}

// The expressions that go to the kernel say what the text beside them says: nft(8)
// prints the same table whether it was given the text, or we wrote the expressions,
// at once or service by service.
func TestKernelHoldsWhatTheTextSays(t *testing.T) {
	t.Parallel()
	network, err := topo.Up(t.Context(), topo.Cluster(2))
	require.NoError(t, err)
	t.Cleanup(func() { network.Close() })
	ours, _ := network.Machine("node1")
	theirs, _ := network.Machine("node2")
	for _, c := range goldens {
		t.Run(c.file, func(t *testing.T) {
			node := kubeproxy.On(topo.Cluster(2), c.node, c.family)
			p, err := newProxy(ours, node)
			require.NoError(t, err)
			defer p.Close()
			var before []harness.Service
			less := example.Plain()
			less[0].Backends = less[0].Backends[:1]
			for _, services := range [][]harness.Service{
				append(example.Plain(), example.Full()...), append(less, example.Full()...), append(example.Full(), example.WithoutClusterAddress()...), nil, c.services[:1], c.services} {
				require.NoError(t, p.Serve(t.Context(), kubeproxy.Diff(node.Services(before), node.Services(services))))
				before = services
				want := table(node, rules(node, node.Services(services)))
				run(t, theirs, want, "nft", "-f", "-")
				require.Equal(t, list(t, theirs, c.family), list(t, ours, c.family))
				run(t, theirs, "flush ruleset", "nft", "-f", "-")
			}
			p.kernel.DelTable(p.table)
			require.NoError(t, p.commit())
		})
	}
}

// Chains that the kernel still finds in use go with a later change, as must happen
// before Linux 6.2, and are written anew when they are wanted first.
func TestChainsInUseGoLater(t *testing.T) {
	t.Parallel()
	network, err := topo.Up(t.Context(), topo.Cluster(2))
	require.NoError(t, err)
	t.Cleanup(func() { network.Close() })
	machine, _ := network.Machine("node1")
	node := kubeproxy.On(topo.Cluster(2), "node1", topo.IPv4)
	p, err := newProxy(machine, node)
	require.NoError(t, err)
	defer p.Close()
	empty := list(t, machine, topo.IPv4)
	change := func(before, now []harness.Service) {
		t.Helper()
		require.NoError(t, p.Serve(t.Context(), kubeproxy.Diff(node.Services(before), node.Services(now))))
	}

	change(nil, example.Full())
	served := list(t, machine, topo.IPv4)
	chain := chainOf("external", node.Services(example.Full())[0])
	run(t, machine, "add map ip kube-proxy holder { type inet_service : verdict; elements = { 1 : goto "+chain+" } }", "nft", "-f", "-")
	change(example.Full(), nil)
	require.Contains(t, list(t, machine, topo.IPv4), chain, "it is in use")
	change(nil, example.Full())
	run(t, machine, "delete map ip kube-proxy holder", "nft", "-f", "-")
	require.Equal(t, served, list(t, machine, topo.IPv4))
	change(example.Full(), nil)
	require.Equal(t, empty, list(t, machine, topo.IPv4))
}

// list is the table as nft(8) prints it, put in order: it prints chains as they were
// made, and elements as they lie in a hash table.
func list(t *testing.T, m *topo.Machine, f topo.Family) string {
	t.Helper()
	var blocks []string
	for _, block := range strings.Split(run(t, m, "", "nft", "--numeric", "list", "table", ip(f), tableName), "\n\n") {
		block = strings.TrimSuffix(strings.TrimSpace(block), "\n}")
		block = strings.TrimPrefix(block, "table "+ip(f)+" "+tableName+" {\n\t")
		if before, elements, ok := strings.Cut(block, "elements = {"); ok {
			parts := strings.FieldsFunc(elements, func(c rune) bool { return strings.ContainsRune(",\n\t}", c) })
			slices.Sort(parts)
			block = before + strings.Join(parts, "\n")
		}
		blocks = append(blocks, swapped.ReplaceAllStringFunc(block, unswap))
	}
	slices.Sort(blocks)
	return strings.Join(blocks, "\n\n")
}

// The library says of the maps of a pick that they are in network byte order, which
// they are not, and nft(8) believes it.
var swapped = regexp.MustCompile(`\d+ : goto`)

func unswap(s string) string {
	n, _ := strconv.ParseUint(strings.TrimSuffix(s, " : goto"), 10, 32)
	if n < 1<<16 {
		return s
	}
	return fmt.Sprintf("%d : goto", bits.ReverseBytes32(uint32(n)))
}

func run(t *testing.T, m *topo.Machine, input, command string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("/usr/sbin/" + command)
	if err != nil {
		t.Skipf("no command %s: install the package nftables", command)
	}
	var out, problem bytes.Buffer
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &problem
	require.NoError(t, m.Start(cmd))
	require.NoError(t, cmd.Wait(), "%s\n%s", &problem, input)
	return out.String()
}

var hooks = map[*nft.ChainHook]string{
	nft.ChainHookPrerouting: "prerouting", nft.ChainHookInput: "input", nft.ChainHookForward: "forward",
	nft.ChainHookOutput: "output", nft.ChainHookPostrouting: "postrouting",
}

// table is a whole table in the language of nft(8).
func table(n kubeproxy.Node, r ruleset) string {
	var b strings.Builder
	block := func(head string, lines ...string) {
		fmt.Fprintf(&b, "\t%s {\n", head)
		for _, l := range lines {
			fmt.Fprintf(&b, "\t\t%s\n", l)
		}
		fmt.Fprint(&b, "\t}\n\n")
	}
	chain := func(name string, rules []statement, lines ...string) {
		for _, rule := range rules {
			lines = append(lines, rule.text)
		}
		block("chain "+name, lines...)
	}
	elements := func(of []string) string {
		slices.Sort(of)
		return "elements = {\n\t\t\t" + strings.Join(of, ",\n\t\t\t") + " }"
	}
	address := map[topo.Family]string{topo.IPv4: "ipv4_addr", topo.IPv6: "ipv6_addr"}[n.Family]

	fmt.Fprintf(&b, "table %s %s {\n", ip(n.Family), tableName)
	for _, reason := range kubeproxy.Reasons {
		block("counter "+string(reason), "packets 0 bytes 0")
	}
	var nodes []string
	for _, addr := range n.Nodes {
		nodes = append(nodes, addr.String())
	}
	block("set "+nodePortIPs, "type "+address, elements([]string{n.Addr.String()}))
	block("set "+nodeIPs, "type "+address, elements(nodes))
	for _, name := range slices.Sorted(maps.Keys(r.affinity)) {
		block("set "+name, "type "+address, "size 65535", "flags dynamic,timeout", fmt.Sprintf("timeout %s", r.affinity[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(r.maps)) {
		lines := []string{"type inet_proto . inet_service : verdict"}
		if slices.Contains(mapsOfAddresses, name) {
			lines[0] = "type " + address + " . inet_proto . inet_service : verdict"
		}
		var leads []string
		for k, to := range r.maps[name] {
			leads = append(leads, fmt.Sprintf("%s : goto %s", k, to))
		}
		if len(leads) > 0 {
			lines = append(lines, elements(leads))
		}
		block("map "+name, lines...)
	}
	for _, c := range bases() {
		chain(c.name, c.rules, fmt.Sprintf("type %s hook %s priority %d; policy accept;", c.kind, hooks[c.hook], c.priority))
	}
	for _, chains := range []map[string][]statement{fixed(n), r.chains} {
		for _, name := range slices.Sorted(maps.Keys(chains)) {
			chain(name, chains[name])
		}
	}
	return strings.TrimSuffix(b.String(), "\n") + "}\n"
}
