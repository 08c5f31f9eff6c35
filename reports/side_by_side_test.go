package reports

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// at says of runs that they were measured side by side.
func at(when string, r *Results) *Results {
	r.Environment["side-by-side"] = when
	return r
}

// A lap in which the machine was slower was slower for both, and says nothing against a change.
func TestLapsSideBySideAreHeldAgainstEachOther(t *testing.T) {
	t.Parallel()
	laps := []float64{100, 150, 95, 160, 104, 91}
	slower := timesEach(laps, 1.1)
	for i := range slower {
		slower[i] *= 1 + 0.01*float64(i%3-1)
	}
	compare := func(old, new *Results) Change { return Compare(old, new)[0] }

	c := compare(at("noon", inLaps(laps...)), at("noon", inLaps(slower...)))
	require.Equal(t, Regressed, c.Outcome, "%+v", c)
	require.True(t, c.Paired)

	for name, new := range map[string]*Results{
		"at another time": at("midnight", inLaps(slower...)), "in more laps": at("noon", inLaps(append(slower, 100)...)), "not side by side": inLaps(slower...),
	} {
		c = compare(at("noon", inLaps(laps...)), new)
		require.Equal(t, Undecided, c.Outcome, name)
		require.False(t, c.Paired, name)
	}

	c = compare(at("noon", inLaps(laps...)), at("noon", inLaps(laps...)))
	require.Equal(t, Unchanged, c.Outcome)
	require.InDelta(t, 1, c.P, 0)
	c = compare(at("noon", inLaps(laps...)), at("noon", inLaps(timesEach(laps, 2)...)))
	require.Equal(t, Regressed, c.Outcome, "all laps by the same")
	require.Less(t, c.P, 1e-9)
	twelve := slices.Concat(laps, laps)
	below := slices.Clone(twelve)
	below[2] = -1 // too few for the median's interval to reach down to it
	c = compare(at("noon", inLaps(twelve...)), at("noon", inLaps(below...)))
	require.Equal(t, []any{Undecided, "a figure is not clear of zero"}, []any{c.Outcome, c.Why})
}

// Of 25 rounds of a lap the machine was slow in 13, but for the new run in one fewer: its median is that of a fast machine, and yet it is
// slower.
func TestRoundsSideBySideAreHeldAgainstEachOther(t *testing.T) {
	t.Parallel()
	taken := func(fast int, more float64) *Results {
		var samples []float64
		for lap := range 6 {
			for round := range 25 {
				sample := 200 + more + float64(lap)
				if round < fast {
					sample -= 100
				}
				samples = append(samples, sample)
			}
		}
		r := resultOf("ns/packet", samples...)
		r.Laps = 6
		r.summarise()
		return at("noon", run(r))
	}
	old, new := taken(12, 0), taken(13, 20)
	require.Less(t, new.Results[0].Median, old.Results[0].Median)
	c := Compare(old, new)[0]
	require.Equal(t, Regressed, c.Outcome, "%+v", c)
	require.InDelta(t, 0.1, c.Effect, 0.005)
}

// Student's own example, the hours of sleep that a drug gave to ten patients: t is 4.062 for nine degrees of freedom ("The probable error
// of a mean", Biometrika 1908), which is p = 0.00283, and the mean of 1.58 lies within 0.70 and 2.46.
func TestPairsAreStudents(t *testing.T) {
	t.Parallel()
	var old, new []float64
	for i, hours := range []float64{1.2, 2.4, 1.3, 1.3, 0, 1.0, 1.8, 0.8, 4.6, 1.4} {
		old = append(old, float64(100+i))
		new = append(new, old[i]*math.Exp(hours))
	}
	c := Change{Old: &Result{Laps: 10}}
	require.True(t, c.measurePairs(old, new))
	require.InDelta(t, 0.00283, c.P, 0.00001)
	for want, got := range map[float64]float64{1.58: c.Effect, 0.7001: c.Low, 2.4599: c.High} {
		require.InDelta(t, want, math.Log1p(got), 0.0001)
	}
}

// On a machine that is a third slower in some laps than in others, what is slower by a tenth is found side by side, and nothing else.
func TestGateSideBySide(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 8))
	const trials = 1000
	found := func(slower float64) (n int) {
		for range trials {
			old, new := make([]float64, 12), make([]float64, 12)
			for i := range old {
				machine := 60 + 40*float64(random.IntN(2))
				old[i] = machine * (1 + 0.04*random.NormFloat64())
				new[i] = machine * slower * (1 + 0.04*random.NormFloat64())
			}
			n += len(Regressions(Compare(at("noon", inLaps(old...)), at("noon", inLaps(new...)))))
		}
		return n
	}
	require.LessOrEqual(t, found(1), trials/100)
	require.GreaterOrEqual(t, found(1.1), trials*95/100)
}

func TestTestIsNamed(t *testing.T) {
	t.Parallel()
	laps := []float64{100, 150, 95, 160, 104, 91}
	for _, test := range []struct{ when, names string }{{"noon", "Student’s t test for pairs"}, {"midnight", "Mann-Whitney U test"}} {
		report := newReport(at("noon", inLaps(laps...)))
		report.Diff = NewDiff(at(test.when, inLaps(laps...)), at("noon", inLaps(laps...)), nil)
		var page strings.Builder
		require.NoError(t, report.WriteHTML(&page))
		require.Contains(t, page.String(), "p is less than 0.01 ("+test.names)
	}
}
