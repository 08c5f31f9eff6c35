package vector_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness/vector"
)

// many is a suite of n vectors that differ in their packets.
func many(n int) string {
	var out strings.Builder
	out.WriteString("object: mirror_bpfel.o\nprogram: mirror\nvectors:\n")
	for i := range n {
		fmt.Fprintf(&out, `
  - name: packet %d comes back
    packet: {tcp: {src: 10.0.%d.%d:40000, dst: 10.0.0.2:80, flags: SYN}}
    want:
      verdict: XDP_TX
      packet: {ethernet: {src: 02:00:00:00:00:02}, ipv4: {ttl: 7}, tcp: {dst: 10.0.0.2:80}}
`, i, i/256, i%256)
	}
	return out.String()
}

// BenchmarkVectors measures all that ten thousand vectors of a file take, and what one takes beside the system call that runs the
// program.
func BenchmarkVectors(b *testing.B) {
	const n = 10_000
	text := many(n)
	program := load(b, "mirror", vector.Configuration{}).Programs["mirror"]
	in := vector.Input{Packet: frame(b, 80, 54)}
	for b.Loop() {
		start := time.Now()
		suites, err := vector.ReadSuites("testdata/many.yaml", []byte(text))
		require.NoError(b, err)
		read := time.Since(start)
		result := suites[0].Run(b.Context(), vector.Options{})
		require.NoError(b, result.Err)
		require.Zero(b, result.Failed())

		var running time.Duration
		for _, v := range result.Vectors {
			running += v.Duration
		}
		start = time.Now()
		for range n {
			_, err := program.Run(in)
			require.NoError(b, err)
		}
		bare := time.Since(start)
		b.ReportMetric(float64(read.Milliseconds()), "ms-reading")
		b.ReportMetric(float64((read + result.Duration).Milliseconds()), "ms-all")
		b.ReportMetric(float64(running.Nanoseconds())/n, "ns/vector")
		b.ReportMetric(float64(bare.Nanoseconds())/n, "ns/bare")
	}
}
