package matrix

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/ci/matrix/job"
)

func TestDifferences(t *testing.T) {
	run := func(cells ...*job.Cell) *Matrix { return &Matrix{Kernels: []*Column{{Name: "6.1", Cells: cells}}} }
	cell := func(name string, state job.State) *job.Cell { return &job.Cell{Suite: "s", Name: name, State: state} }
	first := run(cell("A", job.Pass), cell("B", job.Pass))
	require.Empty(t, Differences())
	require.Empty(t, Differences(first))
	require.Empty(t, Differences(first, run(cell("B", job.Pass), cell("A", job.Pass)), first))
	require.Equal(t, []string{
		"kernel 6.1: s A: fail in 1 of 3 runs, pass in 2 of 3 runs",
		"kernel 6.1: s B: missing in 1 of 3 runs, pass in 2 of 3 runs",
	}, Differences(first, first, run(cell("A", job.Fail))))
}
