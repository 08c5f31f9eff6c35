package reports

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// The bounds are where the test's answer changes: just inside it allows the change, just
// outside it does not.
func TestBoundsAreThoseOfTheTest(t *testing.T) {
	t.Parallel()
	old := []float64{60, 141, 80, 122, 100, 71, 130, 93, 110, 104}
	for _, new := range [][]float64{
		{63, 150, 87, 119, 108, 76, 133, 98},
		{200, 210, 230, 190, 215, 250, 205},
		{60, 141, 80, 122, 100, 71, 130, 93, 110, 104, 97, 99},
	} {
		low, high := allowed(old, new)
		at := func(change float64) bool { return alikeness(timesEach(old, 1+change), new) >= doubt }
		const little = 1e-9
		require.True(t, at(low+little) && at(high-little))
		require.False(t, at(low-little) || at(high+little))
	}
	many := slices.Concat(old, timesEach(old, 1.01), timesEach(old, 0.99))
	fewLow, fewHigh := allowed(old, old)
	low, high := allowed(many, many)
	require.Less(t, high-low, fewHigh-fewLow, "more samples bound it more closely")
}
