package vector_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

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

// BenchmarkVectors measures all that ten thousand vectors of a file take, and what one takes beside the bare system call that
// runs the program: with the maps restored after it, and without what is done once for all.
func BenchmarkVectors(b *testing.B) {
	const n = 10_000
	text := many(n)
	program := load(b, "mirror", vector.Configuration{}).Programs["mirror"]
	in := vector.Input{Packet: frame(b, 80, 54)}
	for b.Loop() {
		start, used := time.Now(), cpuTime(b)
		suites, err := vector.ReadSuites("testdata/many.yaml", []byte(text))
		require.NoError(b, err)
		read := time.Since(start)
		result := suites[0].Run(b.Context(), vector.Options{})
		require.NoError(b, result.Err)
		require.Zero(b, result.Failed())

		used = cpuTime(b) - used
		start = time.Now()
		for range n {
			_, err := program.Run(in)
			require.NoError(b, err)
		}
		bare := time.Since(start)
		b.ReportMetric(float64(read.Milliseconds()), "ms-reading")
		b.ReportMetric(float64((read + result.Duration).Milliseconds()), "ms-all")
		b.ReportMetric(float64(used.Milliseconds()), "ms-cpu")
		b.ReportMetric(float64(result.Running.Nanoseconds())/n, "ns/vector")
		b.ReportMetric(float64(bare.Nanoseconds())/n, "ns/bare")
		b.ReportMetric(float64(result.Running)/float64(bare), "x-bare")
	}
}

// cpuTime is that of the process, which other processes on the machine do not change.
func cpuTime(b *testing.B) time.Duration {
	var usage unix.Rusage
	require.NoError(b, unix.Getrusage(unix.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
