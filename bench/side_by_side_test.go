package bench

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/ebpf"
	"github.com/skbench/skbench/harness/datapath/iptables"
)

// Runs side by side have the same figures under the same names, or reports could not compare
// them, and each keeps its own datapath, whoever is up first.
func TestRunsSideBySide(t *testing.T) {
	s := SideBySide{Datapaths: []harness.Datapath{eBPF(ebpf.WithoutXDP())(usual), iptables.Datapath()}}
	p := plan{laps: 4, rounds: 2, duration: 5 * time.Millisecond, say: func(string) {}}
	runs, err := s.measure(t.Context(), p, "")
	require.NoError(t, err)
	require.Len(t, runs, 2)
	at := runs[0].Environment["side-by-side"]
	require.NotEmpty(t, at)
	for i := range runs[0].Results {
		fast, slow := runs[0].Results[i], runs[1].Results[i]
		require.Equal(t, fast.Benchmark, slow.Benchmark)
		require.Equal(t, fast.Params, slow.Params)
		for _, result := range []Result{fast, slow} {
			require.Equal(t, 4, result.Laps)
			require.Len(t, result.Samples, 8)
			require.Len(t, result.Empty, 8)
		}
		require.Equal(t, fast.Empty, slow.Empty)
	}
	require.Equal(t, "pps", runs[0].Results[0].Benchmark)
	for lap := range 4 { // TC forwards twice what iptables does
		tc, other := runs[0].Results[0].Samples[2*lap:2*lap+2], runs[1].Results[0].Samples[2*lap:2*lap+2]
		require.Greater(t, median(tc), median(other), "lap %d", lap)
	}

	again, err := s.measure(t.Context(), plan{laps: 1, rounds: 1, duration: time.Millisecond, say: p.say}, "")
	require.NoError(t, err)
	require.NotEqual(t, at, again[0].Environment["side-by-side"])

	_, err = SideBySide{Datapaths: s.Datapaths[:1]}.Run(t.Context(), nil)
	require.ErrorContains(t, err, "two datapaths or more, and here are 1")
}

// Each side is the first to be brought up as often as the others.
func TestSidesTakeTurns(t *testing.T) {
	t.Parallel()
	require.Equal(t, []int{0, 1, 2}, turn(0, 3))
	require.Equal(t, []int{1, 2, 0}, turn(1, 3))
	require.Equal(t, []int{2, 0, 1}, turn(2, 3))
	require.Equal(t, []int{0, 1, 2}, turn(3, 3))
}
