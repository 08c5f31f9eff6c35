package vector_test

import (
	"testing"

	"github.com/skbench/skbench/harness/vector"
)

func TestPrograms(t *testing.T) {
	for _, suite := range []string{"mirror", "tables", "calls"} {
		vector.Run(t, "testdata/"+suite+".yaml")
	}
}
