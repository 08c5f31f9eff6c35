package vector_test

import (
	"path/filepath"
	"testing"

	"github.com/skbench/skbench/harness/vector"
)

func TestPrograms(t *testing.T) {
	for _, suite := range []string{"mirror.yaml", "tables.yaml", "calls.yaml", "kinds.yaml", "fixtures.yaml", "groups.json"} {
		vector.Run(t, "testdata/"+suite)
	}
}

// Programs of others: xdp-filter, as Debian builds it.
func TestXDPFilter(t *testing.T) {
	if objects, _ := filepath.Glob("/usr/lib/*/bpf/xdpfilt_*.o"); objects == nil {
		t.Skip("no objects of xdp-filter under /usr/lib: install xdp-tools")
	}
	vector.Run(t, "testdata/xdp-filter.yaml")
}
