package reports

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// With ten samples that spread by 2 %, a datapath that got 10 % slower is found, and one
// that did not change is left alone; with samples that spread by 6 %, as those of a busy
// machine do, nothing is claimed that a repetition does not show.
func TestGateFindsWhatThereIs(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	const trials = 1000
	regressed := func(slower, spread float64) (found int) {
		for range trials {
			taken := func(mean float64) *Results { return spreading(random, 10, mean, spread) }
			found += len(Regressions(NewDiff(taken(100), taken(100*slower), taken(100*slower)).Changes))
		}
		return found
	}
	require.GreaterOrEqual(t, regressed(1.10, 0.02), trials*95/100)
	require.LessOrEqual(t, regressed(1, 0.02), trials/100)
	require.LessOrEqual(t, regressed(1, 0.06), trials/100)
	require.LessOrEqual(t, regressed(1.03, 0.02), trials/100, "less than 5 % does not count")
}

// A datapath that did not change is told so, where samples are many enough for how far they
// spread; one that got slower is not.
func TestUnchangedIsSaidOfWhatIs(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	const trials = 200
	unchanged := func(slower, spread float64, samples int) (said int) {
		for range trials {
			changes := Compare(spreading(random, samples, 100, spread), spreading(random, samples, 100*slower, spread))
			if changes[0].Outcome == Unchanged {
				said++
			}
		}
		return said
	}
	require.GreaterOrEqual(t, unchanged(1, 0.02, 10), trials*95/100)
	require.GreaterOrEqual(t, unchanged(1, 0.08, 100), trials*95/100)
	for _, spread := range []float64{0.02, 0.08, 0.2} {
		require.LessOrEqual(t, unchanged(1.05, spread, 10), trials*5/100, spread)
		require.LessOrEqual(t, unchanged(1.05, spread, 100), trials*5/100, spread)
		require.Zero(t, unchanged(1.1, spread, 100), spread)
	}
}

// spreading is a run with so many samples around a mean.
func spreading(random *rand.Rand, n int, mean, spread float64) *Results {
	samples := make([]float64, n)
	for i := range samples {
		samples[i] = mean * (1 + spread*random.NormFloat64())
	}
	return run(resultOf("ns/packet", samples...))
}
