package object_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/object"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/harness/vector"
	"github.com/skbench/skbench/topo"
)

const file = "testdata/filter.yaml"

// The programs stand where the file says and nowhere else: pods of node2 get nothing at the port that is closed, those of node1 do.
func TestObjectOnNodes(t *testing.T) {
	lab := harness.Start(t, topo.Cluster(2), object.Datapath(file))
	one, two := lab.Pod("web-on-node1"), lab.Pod("web-on-node2")

	one.Send(t, packet.UDP{Dst: two.AddrPort(80)})
	two.Expect(t, packet.UDP{Dst: two.AddrPort(80)})
	two.Send(t, packet.UDP{Dst: one.AddrPort(81)})
	one.Expect(t, packet.UDP{Dst: one.AddrPort(81)})
	one.Send(t, packet.UDP{Dst: two.AddrPort(81)})
	one.Send(t, packet.UDP{Dst: two.AddrPort(82)})
	two.Expect(t, packet.UDP{Dst: two.AddrPort(82)})
	two.ExpectNone(t, packet.UDP{Dst: two.AddrPort(81)})
}

// A program of sockets stands in the node's control group, and acts on its pods.
func TestObjectAtSockets(t *testing.T) {
	lab := harness.Start(t, topo.Cluster(2), object.Datapath(file))
	one, two := lab.Pod("web-on-node1"), lab.Pod("web-on-node2")
	one.Dial(t, "udp", two.AddrPort(80))
	two.Dial(t, "udp", one.AddrPort(81))
	_, err := one.DialContext(t.Context(), "udp", two.AddrPort(81).String())
	require.ErrorIs(t, err, unix.EPERM)
}

// The same file is a suite.
func TestObjectAsVectors(t *testing.T) { vector.Run(t, file) }

// What cannot be put on a node is told with its place.
func TestMistakes(t *testing.T) {
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	here, err := filepath.Abs("testdata/filter_bpfel.o")
	require.NoError(t, err)
	network, err := topo.Up(t.Context(), topo.Cluster(1))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, network.Close()) })
	for name, test := range map[string]struct{ old, new, says string }{
		"hook":     {"hook: cgroup", "hook: tc egress, device: eth0", "x.yaml:7:29: program refuse is of type CGroupSockAddr, which does not stand at tc egress"},
		"program":  {"program: refuse", "program: refused", `x.yaml:7:15: there is no program "refused"; did you mean "refuse"?`},
		"map":      {"closed:", "close:", `there is no map that can be filled "close"; did you mean "closed"?`},
		"device":   {`"lxc-*"`, `"lxc-["`, `"lxc-[" is no name of a device`},
		"constant": {"program: filter\nmaps", "constants: {watched: eth7}\nmaps", "x.yaml:3:22: a number belongs here"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.ReplaceAll(string(content), "filter_bpfel.o", here)
			require.Contains(t, text, test.old)
			text = strings.NewReplacer(test.old, test.new, "node: node2, ", "", ", node: node1", "").Replace(text)
			path := filepath.Join(t.TempDir(), "x.yaml")
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			_, err := object.Datapath(path).Up(t.Context(), network, nil)
			require.ErrorContains(t, err, test.says)
		})
	}
	forwarder, err := object.Datapath(file).Up(t.Context(), network, nil)
	require.NoError(t, err)
	require.ErrorContains(t, forwarder.Serve(t.Context(), []harness.Service{{Name: "web"}}), "service web cannot be served")
	require.NoError(t, forwarder.Close())
}

// A program that the kernel rejects is told with the line that names its object, as by BPF_PROG_RUN; so is that no object is named.
func TestObjectsThatCannotBeLoaded(t *testing.T) {
	calls, err := filepath.Abs("../../vector/testdata/calls_bpfel.o")
	require.NoError(t, err)
	network, err := topo.Up(t.Context(), topo.Cluster(1))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, network.Close()) })
	const attach = "attach: [{program: refused, device: eth0, hook: xdp}]\n"
	for name, test := range map[string]struct {
		suite string
		says  []string
	}{
		"rejected":  {attach + "object: " + calls, []string{"x.yaml:2:9: " + calls + ": the kernel rejects it: ", "invalid access to packet"}},
		"no object": {attach, []string{"x.yaml:1:1: the suite names no object"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.yaml")
			require.NoError(t, os.WriteFile(path, []byte(test.suite), 0o600))
			_, err := object.Datapath(path).Up(t.Context(), network, nil)
			for _, says := range test.says {
				require.ErrorContains(t, err, says)
			}
		})
	}
}

// A device that the file names is the node's, by its index.
func TestDevicesAreTheNodes(t *testing.T) {
	network, err := topo.Up(t.Context(), topo.Cluster(1))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, network.Close()) })
	node, _ := network.Machine("node1")
	suites, err := vector.ReadFile(file)
	require.NoError(t, err)
	suites[0].Constants = map[string]any{"watched": "eth0"}
	suites[0].Attach = suites[0].Attach[:1]
	suites[0].Attach[0].Node = ""
	placed, err := suites[0].Place(node, vector.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, placed.Close()) })
	require.Len(t, placed.Attachments, len(node.Devices())-1, "all pods' devices, and not eth0")
	value, err := placed.Loaded.Maps[".rodata"].LookupBytes(uint32(0))
	require.NoError(t, err)
	require.EqualValues(t, node.Devices()[0].Index, binary.NativeEndian.Uint32(value))
}
