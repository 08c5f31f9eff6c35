package reports

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/perf/benchfmt"
)

func TestWriteBench(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	require.NoError(t, WriteBench(&text, sample(t)))
	require.Equal(t, string(golden(t, "bench_golden.txt", text.Bytes())), text.String())
}

func TestBenchReadsBack(t *testing.T) {
	t.Parallel()
	results := sample(t)
	var text bytes.Buffer
	require.NoError(t, WriteBench(&text, results))

	reader := benchfmt.NewReader(&text, "bench.txt")
	for _, want := range results.Results {
		for _, sample := range want.Samples {
			got := nextResult(t, reader)
			value, unit := originalValue(got.Values[0])
			require.Equal(t, sample, value)
			require.Equal(t, want.Unit, unit)
			require.Equal(t, "6.18.2", got.GetConfig("kernel"))
			require.Contains(t, got.Name.String(), "/datapath="+want.Params["datapath"]+"/")
			require.True(t, strings.HasSuffix(got.Name.String(), "-2"), got.Name)
		}
	}
	require.False(t, reader.Scan(), "more lines than samples")
	require.Equal(t, 1, reader.Units().GetBetter("packets/s"))
	require.Equal(t, -1, reader.Units().GetBetter("ns/packet"))
}

// Nights are compared with benchstat, which keeps apart what differs in configuration.
func TestBenchConfigIsTheSameEveryNight(t *testing.T) {
	t.Parallel()
	tonight, tomorrow := sample(t), sample(t)
	tomorrow.Environment["time"] = "2026-03-15T02:17:45Z"
	tomorrow.Environment["commit"] = "fedcba9876543210fedcba9876543210fedcba98"
	var a, b bytes.Buffer
	require.NoError(t, WriteBench(&a, tonight))
	require.NoError(t, WriteBench(&b, tomorrow))
	require.Equal(t, a.String(), b.String())
}

func TestGoName(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		result Result
		want   string
	}{
		{Result{Benchmark: "pps", Params: map[string]string{"size": "64", "datapath": "xdp", "alpha": "1"}}, "PPS/datapath=xdp/alpha=1/size=64"},
		{Result{Benchmark: "lab", Params: map[string]string{"nodes": "30"}}, "Lab/nodes=30"},
		{Result{Benchmark: "cost"}, "Cost"},
	} {
		require.Equal(t, test.want, test.result.goName())
	}
}

// nextResult skips the lines that are no result.
func nextResult(tb testing.TB, reader *benchfmt.Reader) *benchfmt.Result {
	tb.Helper()
	for reader.Scan() {
		switch record := reader.Result().(type) {
		case *benchfmt.Result:
			return record
		case *benchfmt.SyntaxError:
			require.NoError(tb, record)
		}
	}
	require.Fail(tb, "fewer lines than samples")
	return nil
}

// originalValue is a value as written; the reader turns ns into seconds.
func originalValue(v benchfmt.Value) (float64, string) {
	if v.OrigUnit != "" {
		return v.OrigValue, v.OrigUnit
	}
	return v.Value, v.Unit
}
