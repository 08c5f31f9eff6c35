package main

import (
	"context"
	"io"
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

// The runs of a comparison are judged lap by lap, and against the comparison before as a night against the one before; what is kept
// is judged again alike.
func TestRunsAreKeptAndJudged(t *testing.T) {
	dir := t.TempDir()
	run := func(at string, nsPerPacket float64) *bench.Results {
		r := bench.Result{Benchmark: "cost", Params: map[string]string{"datapath": "ebpf"}, Unit: "ns/packet", Laps: 12}
		for lap := range 12 {
			r.Samples = append(r.Samples, nsPerPacket*(1+0.02*float64(lap%3-1)))
		}
		r.Median, r.Low, r.High = nsPerPacket, 0.98*nsPerPacket, 1.02*nsPerPacket
		environment := map[string]string{"cpu": "Xeon", "side-by-side": at, "sampling": "1 sample in each of 12 laps"}
		return &bench.Results{Schema: bench.Schema, Environment: environment, Results: []bench.Result{r}}
	}
	kept := tally{proof: bench.Proof{Datapath: "xdp", Slower: 0.1}}
	for at, cost := range map[string]float64{"noon": 60, "one o'clock": 60.5, "two o'clock": 61} { // in any order: all are alike
		require.NoError(t, kept.keep(dir, bench.Comparison{Old: run(at, cost), Same: run(at, 0.999*cost), Slower: run(at, 1.1*cost)}))
	}
	var said, again strings.Builder
	require.NoError(t, kept.print(&said))
	require.Contains(t, said.String(), "xdp, 3 comparisons of 1 sample in each of 12 laps\n")
	require.Contains(t, said.String(), "with itself: 0 of 3 look changed, 0 worse after a repetition; the cost differs by -0.1 %")
	require.Contains(t, said.String(), "slowed down by 10 %: 3 of 3 found by the cost, 3 after a repetition, 0 by the rate alone; the cost differs by +10.0 %")
	require.Contains(t, said.String(), "with the run before, as two nights are compared: 0 of 2 look changed;")
	require.Contains(t, said.String(), "slowed down: 2 found")

	require.NoError(t, judgeKept(dir, kept.proof, &again))
	require.Equal(t, said.String(), again.String())

	require.ErrorContains(t, judgeKept(t.TempDir(), kept.proof, &again), "no runs were kept in")

	another := run("three o'clock", 90)
	require.NoError(t, kept.keep(dir, bench.Comparison{Old: another, Same: another, Slower: another}))
	require.Equal(t, []int{0, 1, 3}, []int{kept.alarms, kept.nightAlarms, kept.nightsFound}, "the machine was slower, and all looks so")
	require.ErrorContains(t, kept.print(&said), "is found in 3 of 4")
	require.ErrorContains(t, judgeKept(dir, kept.proof, &again), "is found in 3 of 4")
}

// Each datapath needs another number of turns to be slower by a tenth.
func TestTurnsAreOfADatapath(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context()) // nothing is measured
	cancel()
	for _, args := range [][]string{{"-turns", "20"}, {"-datapath", "xdp", "-turns", "65536"}} {
		require.ErrorContains(t, run(canceled, args, io.Discard), "give at most 65535, and the -datapath", args)
	}
}
