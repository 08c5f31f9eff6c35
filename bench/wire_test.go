package bench

import (
	"fmt"
	"os"
	"strings"
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
		{"IPv4", traffic{family: topo.IPv4, flows: 1024, size: 64, services: 1}},
		{"IPv6", traffic{family: topo.IPv6, flows: 1024, size: 64, services: 1}},
		{"one flow", traffic{family: topo.IPv4, flows: 1, size: 64, services: 1}},
		{"into a pod", usual.with(func(t *traffic) { t.local = true })},
		{"IMIX", usual.with(func(t *traffic) { t.size = imix })},
		{"65536 flows of large frames", traffic{family: topo.IPv4, flows: 65536, size: 1514, services: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := emptyPath(t.Context(), c.traffic, 0)
			require.NoError(t, err)
			defer func() { require.NoError(t, s.Close()) }()

			got, err := s.wire.saturate(t.Context(), 50*time.Millisecond)
			require.NoError(t, err)
			require.NoError(t, got.loss())
			require.Positive(t, got.Returned)
			t.Logf("%.0f packets/s, %.0f ns each", got.rate(), got.cost())
		})
	}
}

// The longest frames of a mix come first in no order: each flow's have its own size.
func TestMixedFramesHaveTheirSizes(t *testing.T) {
	mixed := usual.with(func(t *traffic) { t.size = imix })
	network, err := topo.Up(t.Context(), mixed.topology())
	require.NoError(t, err)
	defer network.Close()
	wire, err := newWire(network, mixed, firstNodePort, 0)
	require.NoError(t, err)
	defer wire.Close()
	require.NoError(t, wire.dropAtOnce(network))

	before := receivedBytes(t, network)
	got, err := wire.once(t.Context())
	require.NoError(t, err)
	require.Len(t, wire.frame, 1514, "the longest, without its check sequence")
	want, sent := uint64(0), got.Sent
	for flow := range sent {
		want += uint64(imixSizes[flow%uint64(mixed.flows)%uint64(len(imixSizes))] - 4)
	}
	require.Equal(t, want, receivedBytes(t, network)-before)
}

// receivedBytes are those that the NIC under test has received.
func receivedBytes(t *testing.T, network *topo.Network) (bytes uint64) {
	node, _ := network.Machine(underTest)
	require.NoError(t, node.Do(func() error {
		text, err := os.ReadFile("/proc/thread-self/net/dev")
		if err != nil {
			return err
		}
		_, counters, _ := strings.Cut(string(text), topo.NIC+":")
		_, err = fmt.Sscan(counters, &bytes)
		return err
	}))
	return bytes
}

// An offered load is what was asked for: neither more nor sooner.
func TestOfferedLoadIsKept(t *testing.T) {
	s, err := emptyPath(t.Context(), traffic{family: topo.IPv4, flows: 1024, size: 64, services: 1}, 0)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()

	const perSecond, burst = 64000, 64
	d := 100 * time.Millisecond
	got, err := s.wire.offer(t.Context(), perSecond, d)
	require.NoError(t, err)
	require.NoError(t, got.loss())
	require.EqualValues(t, 6400, got.Sent)
	require.GreaterOrEqual(t, got.wall, d-burst*time.Second/perSecond, "the last burst is due just before the end")
	require.Positive(t, got.cpu)
}
