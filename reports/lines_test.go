package reports

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLines(t *testing.T) {
	t.Parallel()
	drawn := 0
	for _, c := range chartsOf(fullRun(14, 1)) {
		switch c.name {
		case "services-by-services", "latency-by-quantile", "pps-by-flows":
			drawn++
			png, err := c.png()
			require.NoError(t, err)
			requireImage(t, "png", c.name+"_golden.png", png)
		}
	}
	require.Equal(t, 3, drawn)
}

func TestCourse(t *testing.T) {
	t.Parallel()
	cost := func(params string, median float64) Result { return figureOf("services", params, "ns/packet", median) }
	charts := chartsOf(runOf(
		cost("datapath=iptables services=1", 1760), cost("datapath=iptables services=100", 2000), cost("datapath=iptables services=10000", 29000),
		cost("datapath=xdp services=1", 66), cost("datapath=xdp services=100", 66), cost("datapath=xdp services=10000", 67),
	))
	require.Len(t, charts, 1)
	require.Equal(t, "From 1 to 10,000 services: XDP 66.0 ns to 67.0 ns (alike), iptables 1,760 ns to 29,000 ns (16 times); less is better.", charts[0].finding())
}

// Past runs that decide nothing are not part of a trend.
func TestTrends(t *testing.T) {
	t.Parallel()
	r := newReport(fullRun(14, 1.2))
	for night := 10; night < 14; night++ {
		r.Past = append(r.Past, fullRun(night, 1))
	}
	require.Len(t, lineOf(t, r, "trend-cost", "XDP").points, 5)
	require.Equal(t, "XDP", r.trends()[0].lines[0].name, "in the order of datapaths, not of the file")
	r.Past[0].Environment["cpu"] = "EPYC"
	r.Past[1].Environment["untrusted"] = "busy"
	require.Len(t, lineOf(t, r, "trend-cost", "XDP").points, 3)
	r.Past = nil
	require.Empty(t, r.trends())
}

func lineOf(tb testing.TB, r *Report, chart, line string) series {
	tb.Helper()
	for _, c := range r.trends() {
		for _, s := range c.lines {
			if c.name == chart && s.name == line {
				return s
			}
		}
	}
	require.Fail(tb, "no such line")
	return series{}
}
