package bench

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is counted once can be written: JSON has no infinity.
func TestOneSample(t *testing.T) {
	t.Parallel()
	r := &Results{}
	r.add("program", nil, "instructions", []float64{15000}, nil)
	got := r.Results[0]
	require.Equal(t, []float64{15000, 15000, 15000}, []float64{got.Low, got.Median, got.High})
	require.NoError(t, r.Write(t.TempDir()))
}

// Samples of a figure are joined lap by lap, and bounded by what the laps differ by.
func TestFiguresOfLaps(t *testing.T) {
	t.Parallel()
	r := &Results{}
	for lap := range 6 {
		samples := slices.Repeat([]float64{float64(100 + lap)}, 3)
		r.add("cost", map[string]string{"datapath": "xdp"}, "ns/packet", samples, samples)
		r.add("cost", map[string]string{"datapath": "tc"}, "ns/packet", samples, samples[:3-lap/4])
	}
	require.Len(t, r.Results, 2)
	xdp, tc := r.Results[0], r.Results[1]
	require.Equal(t, 6, xdp.Laps)
	require.Len(t, xdp.Samples, 18)
	require.Equal(t, xdp.Samples, xdp.Empty)
	require.Equal(t, []float64{100, 102.5, 105}, []float64{xdp.Low, xdp.Median, xdp.High})
	require.Nil(t, tc.Empty, "there was none in a lap")
}
