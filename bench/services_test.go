package bench

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/topo"
)

// Every side serves all its services, and has a figure for first packets and for later ones.
func TestServicesAreMeasured(t *testing.T) {
	p := plan{rounds: 10, duration: 2 * time.Millisecond, serviceCounts: []int{1, 40}, say: func(string) {}}
	results := &Results{}
	require.NoError(t, p.services(t.Context(), results, traffic{family: topo.IPv4, flows: 1024, size: 64}, 0))
	measured := map[[4]string]float64{}
	for _, r := range results.Results {
		require.Equal(t, "services", r.Benchmark)
		require.Len(t, r.Samples, 10)
		require.Len(t, r.Empty, 10, "measured in the same rounds")
		measured[[4]string{r.Params["datapath"], r.Params["services"], r.Params["packets"], r.Params["busy"]}] = r.Median
	}
	for _, services := range []string{"1", "40"} {
		for _, packets := range []string{"first", "later"} {
			for _, datapath := range []string{"xdp", "iptables"} {
				for _, busy := range []string{"1", "all"} {
					require.Contains(t, measured, [4]string{datapath, services, packets, busy})
				}
			}
		}
	}
}

// Every backend is a pod of its own, on as many nodes as they need, and gets its flows.
func TestBackendsAreMeasured(t *testing.T) {
	many := usual.with(func(t *traffic) { t.backends = 1000 })
	addresses := map[string]bool{}
	for _, b := range many.served()[0].Backends {
		addresses[b.IPv4.String()] = true
	}
	require.Len(t, addresses, 1000)
	require.Equal(t, "node5", many.served()[0].Backends[999].Node)

	p := plan{rounds: 10, duration: 2 * time.Millisecond, backendCounts: []int{1, 600}, say: func(string) {}}
	results := &Results{}
	require.NoError(t, p.backends(t.Context(), results, usual, 0))
	measured := map[[3]string]bool{}
	for _, r := range results.Results {
		require.Equal(t, "backends", r.Benchmark)
		measured[[3]string{r.Params["datapath"], r.Params["backends"], r.Params["packets"]}] = true
	}
	require.Len(t, measured, 2*2*2)
}

func TestTrafficGoesToTheBusyServices(t *testing.T) {
	for _, test := range []struct {
		services, busy int
		want           []int // of flows 0 to 3
	}{
		{1, 0, []int{0, 0, 0, 0}},
		{3, 0, []int{0, 1, 2, 0}},
		{10000, 0, []int{0, 1, 2, 3}},
		{1, 1, []int{0, 0, 0, 0}},
		{10000, 1, []int{5000, 5000, 5000, 5000}},
		{100, 2, []int{25, 75, 25, 75}},
	} {
		var got []int
		for flow := range 4 {
			got = append(got, traffic{services: test.services, busy: test.busy}.service(flow))
		}
		require.Equal(t, test.want, got, "%d of %d services busy", test.busy, test.services)
	}
}
