package bpf_test

import (
	"testing"

	"github.com/skbench/skbench/harness/vector"
)

// The suites of testdata say what the programs do packet by packet, with every map as it lies in the kernel. What takes more
// than fields to say is in the other tests of this package.
func TestVectors(t *testing.T) {
	for _, suite := range []string{"xdp", "host", "lxc"} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			vector.Run(t, "testdata/"+suite+".yaml")
		})
	}
}
