package reports

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// onMachine is a run of a machine that is so many times as slow as usual: its empty path, and
// a datapath that costs so much alone.
func onMachine(slow, alone float64) *Results {
	path := timesEach(steady, 2*slow)
	empty := resultOf("packets/s", timesEach(steady, 1/slow)...)
	empty.Benchmark, empty.Params = "pps", map[string]string{"datapath": emptyPath}
	cost := resultOf("ns/packet", timesEach(steady, alone*slow)...)
	cost.Empty = path
	return run(empty, cost)
}

// A machine that is slower is no change of the datapath, and one that is faster hides none; one that is quite another says nothing.
func TestTheMachinesSpeedCancels(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name        string
		slow, alone float64
		want        Outcome
		effect      float64
		says        string
	}{
		{"the same", 1, 1, Unchanged, 0, "it was as fast as in the old run"},
		{"a slow machine", 1.09, 1, Unchanged, 0, "it was 8.3 % slower than in the old run"},
		{"a fast machine", 0.92, 1, Unchanged, 0, "it was 8.7 % faster than in the old run"},
		{"a slow datapath", 1, 1.1, Regressed, 0.1, "as fast"},
		{"a slow datapath on a fast machine", 0.92, 1.1, Regressed, 0.1, "it was 8.7 % faster"},
		{"a fast datapath on a slow machine", 1.09, 0.8, Improved, -0.2, "it was 8.3 % slower"},
		{"a disturbed machine", 1.12, 1, Undecided, 0, "it was 11 % slower"},
		{"a slow datapath on a disturbed machine", 1.12, 1.1, Undecided, 0.1, "it was 11 % slower"},
		{"a fast datapath beside a disturbed run", 0.88, 0.8, Undecided, -0.2, "it was 14 % faster"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			diff := NewDiff(onMachine(1, 1), onMachine(test.slow, test.alone), nil)
			for _, c := range diff.Changes {
				if c.New.Params["datapath"] == emptyPath {
					require.Equal(t, Unjudged, c.Outcome, "others are judged beside it")
					continue
				}
				require.Equal(t, test.want, c.Outcome, "%+v", c)
				require.InDelta(t, test.effect, c.Effect, 1e-9)
				require.True(t, c.Beside)
			}
			require.Contains(t, diff.basis(), "Of 2 figures, 1 are compared as multiples of what the empty path had")
			require.Contains(t, diff.basis(), test.says)
		})
	}
}

// Where only one run has an empty path beside, or it is another one, figures are compared as
// they are.
func TestFiguresThatStandAlone(t *testing.T) {
	t.Parallel()
	old := onMachine(1, 1)
	for i := range old.Results {
		old.Results[i].Empty = nil
	}
	before := NewDiff(old, onMachine(1.25, 1), nil)
	require.Len(t, Regressions(before.Changes), 2)
	require.Empty(t, before.basis())

	for _, key := range yardstick {
		slower := onMachine(1.25, 1)
		slower.Environment[key] = "another"
		diff := NewDiff(onMachine(1, 1), slower, nil)
		require.Len(t, Regressions(diff.Changes), 2, key)
		require.Contains(t, diff.basis(), "and not beside the empty path, since that is another one: "+key+" is not the same")
	}
}

// What differs from round to round cancels round by round, not only on the whole.
func TestRoundsAreTakenEachByItself(t *testing.T) {
	t.Parallel()
	bumpy := []float64{1, 1.4, 0.8, 1.2, 2, 1.1, 0.9, 1.5, 1, 1.3}
	of := func(alone float64) *Results {
		var samples, empty []float64
		for i := range bumpy {
			samples, empty = append(samples, steady[i]*alone*bumpy[i]), append(empty, 200*bumpy[i])
		}
		r := resultOf("ns/packet", samples...)
		r.Empty = empty
		return run(r)
	}
	found := Compare(of(1), of(1.1))[0]
	require.Equal(t, Regressed, found.Outcome)
	require.Equal(t, "0.500 → 0.550", found.besides())
	require.Equal(t, "0.500 (0.499 to 0.502)", of(1).Results[0].beside())

	alone := func(r *Results) *Results { r.Results[0].Empty = nil; return r }
	require.Equal(t, Undecided, Compare(alone(of(1)), alone(of(1.1)))[0].Outcome)
}
