package vector_test

import (
	"testing"

	"github.com/skbench/skbench/harness/vector"
)

func TestPrograms(t *testing.T) { vector.Run(t, "testdata/mirror.yaml") }
