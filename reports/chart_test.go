package reports

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// figureOf makes a result with nine samples around a median. The params are
// written as in "datapath=xdp size=64".
func figureOf(benchmark, params, unit string, median float64) Result {
	r := Result{Benchmark: benchmark, Params: map[string]string{}, Unit: unit, Median: median, Low: 0.97 * median, High: 1.03 * median}
	for _, param := range strings.Fields(params) {
		name, value, _ := strings.Cut(param, "=")
		r.Params[name] = value
	}
	for i := range 9 {
		r.Samples = append(r.Samples, median*(0.96+0.01*float64(i)))
	}
	return r
}

func runOf(results ...Result) *Results {
	return &Results{Schema: Schema, Results: results}
}

// outline writes charts as text: title, what all bars share, groups and bars, or lines and points.
func outline(charts []chart) (lines []string) {
	for _, c := range charts {
		lines = append(lines, c.name+": "+c.title()+" ["+strings.Join(c.shared, ", ")+"]")
		for _, line := range c.lines {
			var points []string
			for _, p := range line.points {
				points = append(points, c.axis.label(p.x))
			}
			lines = append(lines, "/"+line.name+"/ "+strings.Join(points, ", "))
		}
		for _, g := range c.groups {
			var bars []string
			for _, b := range g.bars {
				bars = append(bars, b.name)
			}
			lines = append(lines, "("+g.name+") "+strings.Join(bars, ", "))
		}
	}
	return lines
}

func TestCharts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		results []Result
		want    []string
	}{
		{
			"datapaths come in their order",
			[]Result{
				figureOf("pps", "datapath=empty size=64", "packets/s", 4),
				figureOf("pps", "datapath=iptables size=64", "packets/s", 1),
				figureOf("pps", "datapath=mine size=64", "packets/s", 2),
				figureOf("pps", "datapath=tc size=64", "packets/s", 2),
				figureOf("pps", "datapath=xdp size=64", "packets/s", 3),
			},
			[]string{"pps: Packets per second [64 bytes]", "() XDP, TC, iptables, empty path, mine"},
		},
		{
			"what else varies makes groups, numbers by size",
			[]Result{
				figureOf("pps", "datapath=tc size=1500", "packets/s", 2),
				figureOf("pps", "datapath=xdp size=1500", "packets/s", 2),
				figureOf("pps", "datapath=xdp size=64", "packets/s", 2),
			},
			[]string{"pps: Packets per second []", "(64 bytes) XDP", "(1,500 bytes) XDP, TC"},
		},
		{
			"without datapaths the bars stand for what has most values",
			[]Result{
				figureOf("lab-up", "kind=small tunnel=off", "s", 2),
				figureOf("lab-up", "kind=large tunnel=off", "s", 1),
				figureOf("lab-up", "kind=huge tunnel=off", "s", 9),
				figureOf("lab-up", "kind=small tunnel=on", "s", 1),
			},
			[]string{"lab-up: Lab up by kind []", "(tunnel off) kind huge, kind large, kind small", "(tunnel on) kind small"},
		},
		{
			"three values of a number make lines, one for each datapath",
			[]Result{
				figureOf("services", "datapath=iptables services=10000 packets=first", "ns/packet", 2),
				figureOf("services", "datapath=iptables services=1 packets=first", "ns/packet", 1),
				figureOf("services", "datapath=iptables services=100 packets=first", "ns/packet", 9),
				figureOf("services", "datapath=xdp services=1 packets=first", "ns/packet", 1),
				figureOf("services", "datapath=xdp services=1 packets=later", "ns/packet", 1),
			},
			[]string{
				"services: Cost per packet against services [XDP, later packets, 1 service]", "() Cost per packet of the datapath alone, against services",
				"services-by-services: Cost per packet against services [first packets]", "/XDP/ 1", "/iptables/ 1, 100, 10,000",
			},
		},
		{
			"offered loads stand side by side",
			[]Result{
				figureOf("cpu", "datapath=xdp offered=75000", "%", 2),
				figureOf("cpu", "datapath=xdp offered=150000", "%", 1),
				figureOf("cpu", "datapath=xdp offered=300000", "%", 1),
			},
			[]string{"cpu: CPU use of the datapath alone by offered [XDP]", "() 75,000 packets/s offered, 150,000 packets/s offered, 300,000 packets/s offered"},
		},
		{
			"quantiles make lines, and what other numbers there are make more of them",
			[]Result{
				figureOf("latency", "datapath=xdp quantile=p99.9", "us", 2),
				figureOf("latency", "datapath=xdp quantile=p50", "us", 1),
			},
			[]string{"latency-by-quantile: Latency against percentile [XDP]", "/XDP/ 50 %, 99.9 %"},
		},
		{
			"the usual case of a rate stands as bars beside the lines that it is in",
			[]Result{
				figureOf("pps", "datapath=xdp size=64 flows=1024", "packets/s", 2),
				figureOf("pps", "datapath=xdp size=512 flows=1024", "packets/s", 1),
				figureOf("pps", "datapath=xdp size=1500 flows=1024", "packets/s", 1),
				figureOf("pps", "datapath=xdp size=imix flows=1024", "packets/s", 1),
			},
			[]string{
				"pps: Packets per second by size [XDP, 1,024 flows]", "() 64 bytes, IMIX",
				"pps-by-size: Packets per second against bytes per packet [XDP, 1,024 flows]", "/XDP/ 64, 512, 1,500",
			},
		},
		{
			"a parameter may be missing",
			[]Result{
				figureOf("latency", "datapath=xdp", "ns", 1),
				figureOf("latency", "datapath=xdp family=ipv6", "ns", 1),
			},
			[]string{"latency: Latency by family [XDP]", "() Latency, IPv6"},
		},
		{
			"one figure alone",
			[]Result{figureOf("pps", "", "packets/s", 1)},
			[]string{"pps: Packets per second []", "() Packets per second"},
		},
		{
			"each unit has a plot",
			[]Result{
				figureOf("cpu", "datapath=xdp", "ns/packet", 1),
				figureOf("cpu", "datapath=xdp", "%", 1),
			},
			[]string{
				"cpu-ns-per-packet: CPU use of the datapath alone [XDP]", "() CPU use of the datapath alone",
				"cpu-percent: CPU use of the datapath alone [XDP]", "() CPU use of the datapath alone",
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, outline(chartsOf(runOf(test.results...))))
		})
	}
}

func TestChartsLeaveResultsInOrder(t *testing.T) {
	t.Parallel()
	results := sample(t)
	chartsOf(results)
	require.Equal(t, sample(t), results)
}

func TestPhrase(t *testing.T) {
	t.Parallel()
	for param, want := range map[string]string{
		"datapath=xdp":      "XDP",
		"datapath=mine":     "mine",
		"family=ipv6":       "IPv6",
		"size=64":           "64 bytes",
		"size=imix":         "IMIX",
		"flows=1":           "1 flow",
		"flows=65536":       "65,536 flows",
		"mode=split":        "split mode",
		"backend=local":     "local backend",
		"offered=200000":    "200,000 packets/s offered",
		"queues=4":          "queues 4",
		"services=10000":    "10,000 services",
		"datapath=iptables": "iptables",
	} {
		name, value, _ := strings.Cut(param, "=")
		require.Equal(t, want, phrase(name, value), param)
	}
}
