package bpf_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness/vector"
)

// The suites of testdata say what the programs do packet by packet, with every map as it lies in the kernel. What takes more
// than fields to say is in the other tests of this package.
func TestVectors(t *testing.T) {
	for _, name := range []string{"xdp", "host", "lxc"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			suites, err := vector.ReadFile("testdata/" + name + ".yaml")
			require.NoError(t, err)
			for _, suite := range suites {
				if file := objectFile(filepath.Base(suite.Object)); *objectsIn != "" {
					suite.Object, err = filepath.Abs(file)
					require.NoError(t, err)
				}
				// Live, too: what is sent over the wire to the attached programs meets the same end.
				options := vectorOptions
				options.Live = true
				options.RunSuite(t, suite)
			}
		})
	}
}
