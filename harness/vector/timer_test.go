package vector_test

import (
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/harness/vector"
)

// load loads an object of testdata for the length of a test.
func load(t testing.TB, name string, c vector.Configuration) *vector.Loaded {
	t.Helper()
	object, err := vector.Open("testdata/" + name + "_bpfel.o")
	require.NoError(t, err)
	loaded, err := object.Load(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, loaded.Close()) })
	return loaded
}

// frame is a UDP packet of size bytes to a port.
func frame(t testing.TB, port uint16, size int) []byte {
	t.Helper()
	built, err := packet.Build(packet.UDP{
		Src: netip.MustParseAddrPort("10.0.0.1:4000"), Dst: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.2"), port),
		Payload: make([]byte, size-14-20-8),
	}, packet.Defaults{})
	require.NoError(t, err)
	return built.Data
}

// Each program returns an error when it meets a packet that it changed before.
func TestTimerRestoresEverything(t *testing.T) {
	loaded := load(t, "untouched", vector.Configuration{})
	skb := make([]byte, 192)
	skb[8], skb[52] = 5, 6 // mark, cb[1]
	for name, program := range loaded.Programs {
		t.Run(name, func(t *testing.T) {
			in := vector.Timed{Input: vector.Input{Packet: frame(t, 80, 100)}, Code: 3}
			if program.Type() == ebpf.SchedCLS {
				in.Code, in.Context = 0, skb
			}
			if name == "xdp_had_meta" {
				in.Meta = []byte{7, 0, 0, 0}
				in.Context = make([]byte, 24)
				in.Context[0], in.Context[4] = 4, 104
			}
			timer, err := vector.NewTimer(program.Program, in, in)
			require.NoError(t, err)
			defer timer.Close()
			timing, err := timer.Measure(3, 2000)
			require.NoError(t, err)
			low, high := timing.Range()
			t.Logf("%.1f ns (%.1f to %.1f), restoring %.1f ns", timing.Median(), low, high, timing.Restoring[0])
			require.Len(t, timing.Samples, 3)
			require.Len(t, timing.Restoring, len(timing.Samples))
			require.Positive(t, timing.Restoring[0])
		})
	}
}

func TestTimerChecksEveryRun(t *testing.T) {
	once := load(t, "mirror", vector.Configuration{}).Programs["once"].Program
	in := vector.Timed{Input: vector.Input{Packet: frame(t, 80, 100)}, Code: 3}
	timer, err := vector.NewTimer(once, in)
	require.NoError(t, err)
	defer timer.Close()
	_, err = timer.Measure(1, 10)
	require.ErrorContains(t, err, "packet 1: want XDP_TX, got XDP_DROP")

	_, err = vector.NewTimer(once, in)
	require.ErrorContains(t, err, "packet 1: want XDP_TX, got XDP_DROP")
}

// A cost below nothing is explained.
func TestTimingOfNothing(t *testing.T) {
	require.NotContains(t, vector.Timing{Samples: []float64{5, 6, 7}, Restoring: []float64{300}}.String(), "too little")
	require.Contains(t, vector.Timing{Samples: []float64{-20, -1, 7}, Restoring: []float64{300}}.String(), "too little to be told from none")
}
