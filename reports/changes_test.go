package reports

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/perf/benchmath"
)

// resultOf sums samples up.
func resultOf(unit string, samples ...float64) Result {
	summary := benchmath.AssumeNothing.Summary(benchmath.NewSample(slices.Clone(samples), &benchmath.DefaultThresholds), 0.95)
	return Result{
		Benchmark: "cost", Params: map[string]string{"datapath": "xdp"}, Unit: unit, Samples: samples,
		Median: summary.Center, Low: summary.Lo, High: summary.Hi,
	}
}

// run is a run on one and the same machine.
func run(results ...Result) *Results {
	return &Results{
		Schema: Schema, Results: results,
		Environment: map[string]string{"cpu": "Xeon", "cpus": "2", "goarch": "amd64"},
	}
}

// timesEach multiplies each of the samples.
func timesEach(samples []float64, by float64) []float64 {
	all := slices.Clone(samples)
	for i := range all {
		all[i] *= by
	}
	return all
}

var steady = []float64{100, 100.5, 101, 99.5, 100.2, 99.8, 100.1, 99.9, 100.3, 99.7}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	wide := []float64{60, 140, 80, 120, 100, 70, 130, 90, 110, 100}
	for _, test := range []struct {
		name     string
		unit     string
		old, new []float64
		want     Outcome
		why      string
	}{
		{"a time that grows", "ns/packet", steady, timesEach(steady, 1.1), Regressed, ""},
		{"a time that shrinks", "ns/packet", steady, timesEach(steady, 0.9), Improved, ""},
		{"a rate that grows", "packets/s", steady, timesEach(steady, 1.1), Improved, ""},
		{"a rate that shrinks", "packets/s", steady, timesEach(steady, 0.9), Regressed, ""},
		{"the same", "ns/packet", steady, steady, Unchanged, ""},
		{"sure, but small", "ns/packet", steady, timesEach(steady, 1.03), Unchanged, ""},
		{"the same, but far apart", "ns/packet", wide, wide, Undecided, "the samples lie too far apart"},
		{"large, but not sure", "ns/packet", wide, timesEach(wide, 1.1), Undecided, "the samples lie too far apart"},
		{"one sample", "ns/packet", steady, []float64{200}, Undecided, "fewer than 6 samples"},
		{"not clear of zero", "ns/packet", steady, timesEach(wide, -1), Undecided, "a figure is not clear of zero"},
		{"a count that grows by one", "instructions", []float64{15000}, []float64{15001}, Regressed, ""},
		{"a count that shrinks by one", "instructions", []float64{15000}, []float64{14999}, Improved, ""},
		{"the same count", "instructions", []float64{15000}, []float64{15000, 15000}, Unchanged, ""},
		{"a count from nothing", "instructions", []float64{0}, []float64{1}, Regressed, ""},
		{"a count that is none", "instructions", []float64{15000}, []float64{15000, 15001}, Undecided, "the counts of one run differ"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			changes := Compare(run(resultOf(test.unit, test.old...)), run(resultOf(test.unit, test.new...)))
			require.Len(t, changes, 1)
			require.Equal(t, test.want, changes[0].Outcome, "%+v", changes[0])
			require.Equal(t, test.why, changes[0].Why)
			require.Equal(t, test.want == Regressed, len(Regressions(changes)) == 1)
		})
	}
}

func TestEffectAndItsBounds(t *testing.T) {
	t.Parallel()
	c := Compare(run(resultOf("ns/packet", steady...)), run(resultOf("ns/packet", timesEach(steady, 1.1)...)))[0]
	require.InDelta(t, 0.1, c.Effect, 1e-9)
	require.Less(t, c.Low, c.Effect)
	require.Greater(t, c.High, c.Effect)
	require.InDelta(t, 0.1, c.Low, 0.02)
	require.Less(t, c.P, 0.001)
}

func TestWhatOnlyOneRunHas(t *testing.T) {
	t.Parallel()
	other := resultOf("ns/packet", steady...)
	other.Params = maps.Clone(other.Params)
	other.Params["datapath"] = "tc"
	changes := Compare(run(resultOf("ns/packet", steady...)), run(other))
	require.Equal(t, []Outcome{Added, Removed}, []Outcome{changes[0].Outcome, changes[1].Outcome})
	require.Equal(t, "Cost/datapath=tc", changes[0].Name)
	require.Equal(t, "Cost/datapath=xdp", changes[1].Name)
	require.Equal(t, "ns/packet", changes[1].Unit())
}

func TestRunsThatDecideNothing(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"untrusted": "the new run is not to be trusted: EPYC",
		"cpu":       `the runs are from different machines: cpu is "Xeon" in the old and "EPYC" in the new`,
	} {
		slower := run(resultOf("ns/packet", timesEach(steady, 2)...))
		slower.Environment[key] = "EPYC"
		changes := Compare(run(resultOf("ns/packet", steady...)), slower)
		require.Equal(t, Undecided, changes[0].Outcome)
		require.Equal(t, want, changes[0].Why)
		require.InDelta(t, 1, changes[0].Effect, 1e-9, "it is shown all the same")
	}
}

// Runs whose samples were taken in another way say nothing of what was timed, and all of what
// was counted.
func TestRunsMeasuredInAnotherWay(t *testing.T) {
	t.Parallel()
	before := run(resultOf("ns/packet", steady...), resultOf("instructions", 15000))
	now := run(resultOf("ns/packet", timesEach(steady, 2)...), resultOf("instructions", 15001))
	now.Environment["sampling"] = "100 samples of 5 ms"
	changes := Compare(before, now)
	require.Equal(t, Undecided, changes[0].Outcome)
	require.Equal(t, "the runs were not measured the same way: the old one took samples of another kind, the new one 100 samples of 5 ms", changes[0].Why)
	require.InDelta(t, 1, changes[0].Effect, 1e-9, "it is shown all the same")
	require.Equal(t, Regressed, changes[1].Outcome, "a count does not depend on it")

	before.Environment["sampling"] = now.Environment["sampling"]
	require.Len(t, Regressions(Compare(before, now)), 2)
}

func TestRegressionMustShowAgain(t *testing.T) {
	t.Parallel()
	old, slow := run(resultOf("ns/packet", steady...)), run(resultOf("ns/packet", timesEach(steady, 1.2)...))
	first := Compare(old, slow)
	require.Len(t, Regressions(Confirm(first, Compare(old, slow))), 1)
	for _, repetition := range []*Results{old, run()} {
		confirmed := Confirm(first, Compare(old, repetition))
		require.Empty(t, Regressions(confirmed))
		require.Equal(t, "a repetition does not show it", confirmed[0].Why)
	}
	require.Equal(t, Regressed, first[0].Outcome, "the first comparison is left as it was")
}
