package reports

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// inLaps is a run with 25 samples in each lap, which are near to a mean of its own.
func inLaps(means ...float64) *Results {
	var samples []float64
	for _, mean := range means {
		for i := range 25 {
			samples = append(samples, mean*(1+0.0005*float64(i-12)))
		}
	}
	r := resultOf("ns/packet", samples...)
	r.Laps = len(means)
	r.summarise()
	return run(r)
}

// What differs from lap to lap would differ from run to run: only what exceeds it is a change, however many the samples are.
func TestLapsAreJudged(t *testing.T) {
	t.Parallel()
	laps := []float64{100, 118, 95, 110, 104, 91}
	for _, test := range []struct {
		by   float64
		want Outcome
	}{
		{1, Undecided}, {1.12, Undecided}, {1.35, Regressed}, {0.7, Improved},
	} {
		c := Compare(inLaps(laps...), inLaps(timesEach(laps, test.by)...))[0]
		require.Equal(t, test.want, c.Outcome, "%v: %+v", test.by, c)
		require.InDelta(t, test.by-1, c.Effect, 1e-9)
	}
	forgotten := inLaps(timesEach(laps, 1.12)...)
	forgotten.Results[0].Laps = 1
	require.Equal(t, Regressed, Compare(inLaps(laps...), forgotten)[0].Outcome, "150 samples alone would be sure of it")

	still := []float64{100, 100.5, 99.5, 100.2, 99.8, 100.1}
	require.Equal(t, Unchanged, Compare(inLaps(still...), inLaps(still...))[0].Outcome)
	require.Equal(t, Regressed, Compare(inLaps(still...), inLaps(timesEach(still, 1.06)...))[0].Outcome)
}

// The interval holds the median of every lap, and that of all samples.
func TestIntervalIsOfTheLaps(t *testing.T) {
	t.Parallel()
	r := inLaps(100, 118, 95, 110, 104, 91).Results[0]
	require.Equal(t, []float64{91, 118}, []float64{r.Low, r.High})
	require.InDelta(t, 102, r.Median, 2)
	require.Equal(t, "0.510 (0.455 to 0.590)", func() string {
		r.Empty = slices.Repeat([]float64{200}, len(r.Samples))
		return r.beside()
	}())
	few := inLaps(100, 118, 95).Results[0]
	require.Greater(t, few.Low, 95.0, "three laps bound nothing, and their samples are taken")
}

// On a machine that is another one in each lap, by 5 %, nothing is seen that is not there. What
// is seen, by the laps of the run, is another matter.
func TestGateOnAnUnsteadyMachine(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 6))
	const trials = 1000
	regressed := func(count int, slower float64) (found int) {
		for range trials {
			taken := func(mean float64) *Results {
				laps := make([]float64, count)
				for i := range laps {
					laps[i] = mean * (1 + 0.05*random.NormFloat64())
				}
				return inLaps(laps...)
			}
			found += len(Regressions(NewDiff(taken(100), taken(100*slower), taken(100*slower)).Changes))
		}
		return found
	}
	for count, slower := range map[int]float64{6: 1.25, 12: 1.15} {
		require.LessOrEqual(t, regressed(count, 1), trials/100)
		require.GreaterOrEqual(t, regressed(count, slower), trials*95/100)
	}
}
