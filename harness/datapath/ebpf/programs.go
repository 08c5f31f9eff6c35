package ebpf

import (
	"fmt"
	"testing"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness"
)

// Programs are the programs and maps on a node of a lab, for scenarios that look
// into them: what conntrack knows, what was counted.
func Programs(t testing.TB, lab *harness.Lab, node string) *bpf.Node {
	t.Helper()
	programs, err := NodePrograms(lab, node)
	if err != nil {
		t.Fatal(err)
	}
	return programs
}

// NodePrograms are the same for whoever runs no test.
func NodePrograms(lab *harness.Lab, node string) (*bpf.Node, error) {
	if f, ok := lab.Forwarder().(*forwarder); ok {
		for _, n := range f.nodes {
			if n.Name == node {
				return n.programs, nil
			}
		}
	}
	return nil, fmt.Errorf("%s has no programs on %s: ask a lab of the ebpf datapath about one of its nodes", lab.Datapath().Name(), node)
}
