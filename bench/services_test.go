package bench

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/topo"
)

// Every side serves all its services, and has a figure for first packets and for later ones.
func TestServicesAreMeasured(t *testing.T) {
	p := plan{rounds: 1, duration: 20 * time.Millisecond, serviceCounts: []int{1, 40}, say: func(string) {}}
	results := &Results{}
	require.NoError(t, p.services(t.Context(), results, traffic{family: topo.IPv4, flows: 1024, size: 64}, 0))
	measured := map[[3]string]float64{}
	for _, r := range results.Results {
		require.Equal(t, "services", r.Benchmark)
		measured[[3]string{r.Params["datapath"], r.Params["services"], r.Params["packets"]}] = r.Median
	}
	for _, services := range []string{"1", "40"} {
		for _, packets := range []string{"first", "later"} {
			for _, datapath := range []string{"xdp", "iptables"} {
				require.Contains(t, measured, [3]string{datapath, services, packets})
			}
		}
	}
}
