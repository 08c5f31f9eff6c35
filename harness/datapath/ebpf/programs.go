package ebpf

import (
	"testing"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness"
)

// Programs are the programs and maps on a node of a lab, for scenarios that look
// into them: what conntrack knows, what was counted.
func Programs(t testing.TB, lab *harness.Lab, node string) *bpf.Node {
	t.Helper()
	if f, ok := lab.Forwarder().(*forwarder); ok {
		for _, n := range f.nodes {
			if n.Name == node {
				return n.programs
			}
		}
	}
	t.Fatalf("%s has no programs on %s", lab.Datapath().Name(), node)
	return nil
}
