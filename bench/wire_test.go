package bench

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/topo"
)

// Nothing is lost on the empty path, whatever the traffic, and the counters tell
// translated frames from others.
func TestEmptyPathReturnsEveryFrame(t *testing.T) {
	for _, c := range []struct {
		name string
		traffic
	}{
		{"IPv4", traffic{topo.IPv4, 1024, 64}},
		{"IPv6", traffic{topo.IPv6, 1024, 64}},
		{"one flow", traffic{topo.IPv4, 1, 64}},
		{"65536 flows of large frames", traffic{topo.IPv4, 65536, 1514}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := emptyPath(t.Context(), c.traffic, 0)
			require.NoError(t, err)
			defer func() { require.NoError(t, s.Close()) }()

			got, err := s.wire.saturate(t.Context(), 50*time.Millisecond)
			require.NoError(t, err)
			require.NoError(t, got.loss())
			require.Positive(t, got.Returned)
			t.Logf("%.0f packets/s, %.0f ns each, %.0f %% of a CPU", got.rate(), got.cost(), got.cpuPart())
		})
	}
}

// An offered load is what was asked for.
func TestOfferedLoadIsKept(t *testing.T) {
	s, err := emptyPath(t.Context(), traffic{topo.IPv4, 1024, 64}, 0)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()

	got, err := s.wire.offer(t.Context(), 50000, 200*time.Millisecond)
	require.NoError(t, err)
	require.NoError(t, got.loss())
	require.InEpsilon(t, 50000, got.rate(), 0.05)
}
