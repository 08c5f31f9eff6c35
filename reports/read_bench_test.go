package reports

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is written as benchmark text is read back, all but what that cannot hold.
func TestBenchTextIsARun(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	require.NoError(t, WriteBench(&text, sample(t)))
	path := filepath.Join(t.TempDir(), "bench.txt")
	require.NoError(t, os.WriteFile(path, text.Bytes(), 0o644))

	results, err := ReadResults(path)
	require.NoError(t, err)
	require.Empty(t, results.Problems)
	written := sample(t).Results
	for i := range written {
		written[i].Empty = nil // it has no place in benchmark text
	}
	require.Equal(t, written, results.Results)
	require.Equal(t, "2", results.Environment["cpus"])
	require.Equal(t, "6.18.2", results.Environment["kernel"])
}

func TestSpoiltBenchText(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "bench.txt")
	require.NoError(t, os.WriteFile(path, []byte(`goos: linux
BenchmarkPPS/datapath=xdp-2 1 2000000 packets/s
BenchmarkPPS/datapath=xdp-2 one 2000000 packets/s
BenchmarkPPS/datapath=xdp-2 1 NaN packets/s
BenchmarkPPS/datapath=xdp-2 1 2100000
BenchmarkFoo_Bar/sub-2 1 12 ns/op 3 B/op
BenchmarkCost/datapath=xdp-2 1 +Inf ns/packet
`), 0o644))
	results, err := ReadResults(path)
	require.NoError(t, err)
	var problems []string
	for _, p := range results.Problems {
		problems = append(problems, p.Error())
	}
	require.Equal(t, []string{
		path + ":3: parsing iteration count: invalid syntax: write it as benchstat reads it, or measure again",
		path + ":4: PPS/datapath=xdp in packets/s is NaN, which is no figure: measure again",
		path + ":5: missing units: write it as benchstat reads it, or measure again",
		path + ":7: Cost/datapath=xdp in ns/packet is +Inf, which is no figure: measure again",
	}, problems)
	require.Equal(t, []Result{
		{"pps", map[string]string{"datapath": "xdp"}, "packets/s", 1, []float64{2000000}, 2000000, 2000000, 2000000, nil},
		{"foo-bar", map[string]string{"case": "sub"}, "ns/op", 1, []float64{12}, 12, 12, 12, nil},
		{"foo-bar", map[string]string{"case": "sub"}, "B/op", 1, []float64{3}, 3, 3, 3, nil},
	}, results.Results)

	rendered, err := Render(path, Options{Out: t.TempDir()})
	require.NoError(t, err)
	require.Equal(t, 2, exitCode(t, rendered.Err()))
}
