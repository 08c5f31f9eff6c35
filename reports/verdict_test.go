package reports

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVerdict(t *testing.T) {
	t.Parallel()
	rate := func(params string, median float64) Result { return figureOf("pps", params, "packets/s", median) }
	cost := func(params string, median float64) Result { return figureOf("cost", params, "ns/packet", median) }
	for _, test := range []struct {
		name    string
		results []Result
		want    string
	}{
		{
			"faster and cheaper",
			[]Result{
				rate("datapath=xdp", 2.1e6), rate("datapath=iptables", 1e6),
				cost("datapath=xdp", 100), cost("datapath=iptables", 440),
			},
			"XDP forwards 2.1 times what iptables does; the XDP datapath alone costs 4.4 times less per packet than iptables.",
		},
		{
			"slower and dearer",
			[]Result{rate("datapath=tc", 8e5), rate("datapath=iptables", 1e6), cost("datapath=tc", 520), cost("datapath=iptables", 400)},
			"TC forwards only 0.80 times what iptables does; the TC datapath alone costs 1.3 times as much per packet as iptables.",
		},
		{
			"intervals that overlap",
			[]Result{rate("datapath=xdp", 1.05e6), rate("datapath=iptables", 1e6), cost("datapath=xdp", 100), cost("datapath=iptables", 102)},
			"XDP and iptables forward so alike that this run cannot tell them apart; " +
				"what the XDP datapath alone costs per packet cannot be told from iptables.",
		},
		{
			"the usual case, among others that are unlike it",
			[]Result{
				rate("datapath=xdp size=512 family=ipv4", 3e6), rate("datapath=iptables size=512 family=ipv4", 1e6),
				rate("datapath=xdp size=64 family=ipv6", 1e6), rate("datapath=iptables size=64 family=ipv6", 2e6),
				rate("datapath=xdp size=64 family=ipv4", 2e6), rate("datapath=iptables size=64 family=ipv4", 1e6),
			},
			"XDP forwards 2.0 times what iptables does.",
		},
		{
			"a cost within the noise",
			[]Result{cost("datapath=xdp", -1), cost("datapath=iptables", 400)},
			"What the XDP datapath alone costs per packet is not clear of zero.",
		},
		{
			"the empty path is no datapath",
			[]Result{rate("datapath=empty", 2e6), rate("datapath=iptables", 1e6)},
			"No verdict: these results do not set a datapath beside iptables.",
		},
		{
			"no baseline",
			[]Result{rate("datapath=xdp", 2e6), rate("datapath=tc", 1e6)},
			"No verdict: these results do not set a datapath beside iptables.",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, verdict(runOf(test.results...)))
		})
	}
}

func TestFinding(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		results []Result
		want    string
	}{
		{
			"rates",
			[]Result{
				figureOf("pps", "datapath=xdp", "packets/s", 2e6),
				figureOf("pps", "datapath=tc", "packets/s", 1.01e6),
				figureOf("pps", "datapath=iptables", "packets/s", 1e6),
				figureOf("pps", "datapath=empty", "packets/s", 3e6),
			},
			"Measured against iptables: XDP 2.0 times as much, TC about the same; more is better.",
		},
		{
			"costs",
			[]Result{
				figureOf("cpu", "datapath=xdp", "ns/packet", 100),
				figureOf("cpu", "datapath=tc", "ns/packet", 800),
				figureOf("cpu", "datapath=ipvs", "ns/packet", 0),
				figureOf("cpu", "datapath=iptables", "ns/packet", 400),
			},
			"Measured against iptables: XDP 4.0 times less, TC 2.0 times as much, IPVS too close to zero to compare; less is better.",
		},
		{
			"no baseline",
			[]Result{figureOf("lab", "nodes=3", "s", 0.5), figureOf("lab", "nodes=30", "s", 12)},
			"0.500 to 12.0 seconds, least with 3 nodes and most with 30 nodes; less is better.",
		},
		{
			"one figure",
			[]Result{figureOf("lab", "nodes=3", "s", 0.5)},
			"0.500 seconds; less is better.",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			charts := chartsOf(runOf(test.results...))
			require.Len(t, charts, 1)
			require.Equal(t, test.want, charts[0].finding())
		})
	}
}
