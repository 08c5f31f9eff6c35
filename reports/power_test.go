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
		taken := func(mean float64) *Results {
			samples := make([]float64, 10)
			for i := range samples {
				samples[i] = mean * (1 + spread*random.NormFloat64())
			}
			return run(resultOf("ns/packet", samples...))
		}
		for range trials {
			old := taken(100)
			found += len(Regressions(NewDiff(old, taken(100*slower), taken(100*slower)).Changes))
		}
		return found
	}
	require.GreaterOrEqual(t, regressed(1.10, 0.02), trials*95/100)
	require.LessOrEqual(t, regressed(1, 0.02), trials/100)
	require.LessOrEqual(t, regressed(1, 0.06), trials/100)
	require.LessOrEqual(t, regressed(1.03, 0.02), trials/100, "less than 5 % does not count")
}
