package bench

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLabsAreMeasuredUpAndDown(t *testing.T) {
	r := little()
	r.labNodes = []int{1, 3}
	require.NoError(t, r.labs(t.Context()))
	var got []string
	for _, result := range r.results.Results {
		require.Equal(t, "s", result.Unit)
		require.Positive(t, result.Samples[0])
		got = append(got, result.Params["nodes"]+" "+result.Params["phase"])
	}
	require.Equal(t, []string{"1 up", "1 down", "3 up", "3 down"}, got)
}
