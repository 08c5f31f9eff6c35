package matrix

import (
	"fmt"
	"slices"
	"strings"

	"github.com/skbench/skbench/ci/matrix/job"
)

// Differences says, a sentence each, which cells several runs of the same kernels and suites do not agree on; none if they do.
func Differences(runs ...*Matrix) (differences []string) {
	type place struct{ kernel, suite, test string }
	states := map[place][]job.State{} // one for each run
	for i, m := range runs {
		for _, column := range m.Kernels {
			for _, cell := range column.Cells {
				at := place{column.Name, cell.Suite, cell.Name}
				if states[at] == nil {
					states[at] = make([]job.State, len(runs))
				}
				states[at][i] = cell.State
			}
		}
	}
	for at, found := range states {
		if slices.ContainsFunc(found, func(s job.State) bool { return s != found[0] }) {
			differences = append(differences, fmt.Sprintf("kernel %s: %s %s: %s", at.kernel, at.suite, at.test, tally(found)))
		}
	}
	slices.Sort(differences)
	return differences
}

// tally says how often each state came: "pass in 9 runs, time-out in 1".
func tally(states []job.State) string {
	counts := map[job.State]int{}
	for _, s := range states {
		counts[s]++
	}
	var parts []string
	for s, n := range counts {
		if s == "" {
			s = "missing"
		}
		parts = append(parts, fmt.Sprintf("%s in %d of %d runs", s, n, len(states)))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}
