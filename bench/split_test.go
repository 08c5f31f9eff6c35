package bench

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSplitSidesSayWhatIsLost(t *testing.T) {
	r := little()
	r.cpu = 1
	require.NoError(t, r.splitRates(t.Context()))
	if len(r.results.Results) == 0 {
		require.Len(t, r.results.Absent, 1)
		t.Skip("split mode: ", r.results.Absent[0].Reason)
	}
	figures := map[string]int{}
	for _, result := range r.results.Results {
		require.Equal(t, "split", result.Params["mode"])
		figures[result.Benchmark]++
		switch result.Benchmark {
		case "pps":
			require.Positive(t, result.Samples[0])
		case "loss":
			require.GreaterOrEqual(t, result.Samples[0], 0.0)
			require.Less(t, result.Samples[0], 100.0)
		}
	}
	n := len(mainRows)
	require.Equal(t, map[string]int{"pps": n + 1, "loss": n + 1, "cost": n}, figures)
}

// The work of the receiving thread is counted, and none of it where there is no such thread.
func TestReceivingThreadIsCounted(t *testing.T) {
	s, err := emptyPath(t.Context(), usual, 1)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	got, err := s.wire.saturate(t.Context(), 5*time.Millisecond)
	require.NoError(t, err)
	require.Zero(t, got.receiving)

	r := &run{cpu: 1}
	if err := r.split(s); err != nil {
		t.Skip("split mode: ", err)
	}
	got, err = s.wire.saturate(t.Context(), 5*time.Millisecond)
	require.NoError(t, err)
	require.Positive(t, got.receiving)
}

func TestTheHighestRateIsFound(t *testing.T) {
	for _, test := range []struct {
		name           string
		most, capacity float64
		low, high      float64 // of what is found
	}{
		{"in the middle", 1e6, 345678, 340000, 345678},
		{"near the generator's", 1e6, 2e6, 980000, 1e6},
		{"slow", 1e6, 100, 95, 100},
		{"nothing", 1e6, 0, 0, 0},
		{"a generator that stands still", 0, 1e6, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			trials := 0
			got, err := highest(test.most, func(rate float64) (float64, bool, error) {
				trials++
				return rate, rate <= test.capacity, nil
			})
			require.NoError(t, err)
			require.GreaterOrEqual(t, got, test.low)
			require.LessOrEqual(t, got, test.high)
			require.Less(t, trials, 40)
		})
	}
}

// A paced run never sends faster than it should, however late it is.
func TestPaceIsNotExceeded(t *testing.T) {
	s, err := emptyPath(t.Context(), usual, 0)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	got, err := s.wire.pace(t.Context(), 6400, 50*time.Millisecond)
	require.NoError(t, err)
	require.NoError(t, got.loss())
	require.Positive(t, got.Sent)
	require.LessOrEqual(t, got.Sent, uint64(320))
}
