package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bench"
	"github.com/skbench/skbench/reports"
)

func TestTwoRunsAreHeldToThreePercent(t *testing.T) {
	// A run of a machine that is so fast, and what part of the empty path's rate the datapaths have.
	run := func(speed, xdp, tc float64) *reports.Results {
		result := func(datapath, mode string, part float64, empty []float64) reports.Result {
			rate := 100 * speed * part
			return reports.Result{
				Benchmark: "pps", Params: map[string]string{"datapath": datapath, "mode": mode}, Unit: "packets/s",
				Samples: []float64{rate}, Median: rate, Low: rate, High: rate, Empty: empty,
			}
		}
		empty := []float64{100 * speed}
		return &reports.Results{Results: []reports.Result{
			result("empty", "inline", 1, nil), result("xdp", "inline", xdp, empty), result("tc", "inline", tc, empty), result("nftables", "split", xdp, empty),
		}}
	}
	alone := func(r *reports.Results) *reports.Results {
		for i := range r.Results {
			r.Results[i].Empty = nil
		}
		return r
	}
	for _, test := range []struct {
		name          string
		first, second *reports.Results
		prints, fails string
	}{
		{"alike", run(1, 1, 0.5), run(1, 1.02, 0.49), "  tc           -2.0 %  -2.0 %\n  xdp          +2.0 %  +2.0 %\n", ""},
		{"one faster", run(1, 1, 0.5), run(1, 1, 0.52), "  xdp          +0.0 %  +0.0 %\n  tc           +4.0 %  +4.0 %\n", "4.0 % apart"},
		{"one slower", run(1, 1, 0.5), run(1, 0.96, 0.5), "  tc           +0.0 %  +0.0 %\n  xdp          -4.0 %  -4.0 %\n", "4.0 % apart"},
		{"the machine slower", run(1, 1, 0.5), run(0.9, 1, 0.5), "  empty        -10.0 %  +0.0 %\n", ""},
		{"the machine slower, and nothing beside", alone(run(1, 1, 0.5)), alone(run(0.9, 1, 0.5)), "  tc           -10.0 %  -10.0 %\n", "10.0 % apart"},
		{"nothing to compare", run(1, 1, 0.5), &reports.Results{}, "", "no rate in common"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out strings.Builder
			err := between(test.first, test.second).print(&out)
			require.Contains(t, out.String(), test.prints)
			require.NotContains(t, out.String(), "nftables")
			if test.fails == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, test.fails)
			}
		})
	}
}

func TestComparisonsAreCounted(t *testing.T) {
	rate, cost := &reports.Result{Unit: "packets/s"}, &reports.Result{Unit: "ns/packet"}
	of := func(ofRate, ofCost reports.Outcome) []reports.Change {
		return []reports.Change{{Name: "PPS", New: rate, Outcome: ofRate}, {Name: "Cost", New: cost, Outcome: ofCost}}
	}
	same, slower := of(reports.Unchanged, reports.Undecided), of(reports.Unchanged, reports.Regressed)
	take := func(comparisons ...[2][]reports.Change) (*tally, string, error) {
		tally := &tally{proof: bench.Proof{Datapath: "xdp", Slower: 0.1}}
		for _, c := range comparisons {
			tally.add(c[0], c[1])
		}
		var out strings.Builder
		err := tally.print(&out)
		return tally, out.String(), err
	}
	good := [2][]reports.Change{same, slower}

	counted, said, err := take(good, good)
	require.NoError(t, err)
	require.Contains(t, said, "with itself: 0 of 2 look changed, 0 worse after a repetition")
	require.Contains(t, said, "slowed down by 10 %: 2 of 2 found by the cost, 2 after a repetition, 0 by the rate alone")
	require.Zero(t, counted.foundInRate)

	_, said, err = take(good, [2][]reports.Change{of(reports.Improved, reports.Unchanged), slower})
	require.ErrorContains(t, err, "1 false alarms in 2 comparisons")
	require.Contains(t, said, "1 of 2 look changed, 0 worse")

	_, said, err = take(good, [2][]reports.Change{same, same}, good)
	require.ErrorContains(t, err, "is found in 2 of 3")
	require.Contains(t, said, "2 of 3 found by the cost, 1 after a repetition", "each needs the comparison before, the first the last")

	_, said, err = take([2][]reports.Change{slower, of(reports.Regressed, reports.Regressed)}, [2][]reports.Change{slower, slower})
	require.ErrorContains(t, err, "2 false alarms")
	require.Contains(t, said, "2 of 2 look changed, 2 worse after a repetition")
	require.Contains(t, said, "1 by the rate alone")
}
