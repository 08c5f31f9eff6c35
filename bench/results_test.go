package bench

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What is counted once can be written: JSON has no infinity.
func TestOneSample(t *testing.T) {
	t.Parallel()
	r := newResult("program", nil, "instructions", []float64{15000})
	require.Equal(t, []float64{15000, 15000, 15000}, []float64{r.Low, r.Median, r.High})
	require.NoError(t, (&Results{Results: []Result{r}}).Write(t.TempDir()))
}
