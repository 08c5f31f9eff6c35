package bench

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness/vector"
	"github.com/skbench/skbench/topo"
)

// The three sides of a comparison have the same figures under the same names, or reports
// could not compare them.
func TestComparisonsHaveThreeSides(t *testing.T) {
	p := Proof{Datapath: "tc", Comparisons: 2, Samples: 1, Duration: 5 * time.Millisecond}
	taken := 0
	err := p.compare(t.Context(), plan{laps: 2, rounds: 1, duration: p.Duration, say: func(string) {}}, slowedRows["tc"], 7, 0, func(c Comparison) error {
		taken++
		for _, run := range []*Results{c.Old, c.Same, c.Slower} {
			require.Len(t, run.Results, 2)
			for i, result := range run.Results {
				require.Equal(t, c.Old.Results[i].Benchmark, result.Benchmark)
				require.Equal(t, c.Old.Results[i].Params, result.Params)
				require.Len(t, result.Samples, 2)
				require.Equal(t, 2, result.Laps)
			}
		}
		require.NotEqual(t, c.Old.Results[0].Samples, c.Same.Results[0].Samples, "measured twice")
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, 2, taken)

	_, err = Proof{Datapath: "iptables"}.Run(t.Context(), nil, nil)
	require.ErrorContains(t, err, `"iptables" cannot be slowed down: take xdp or tc`)
}

// Each turn costs the verifier something, and no turns nothing.
func TestDelayIsCompiledIn(t *testing.T) {
	node := topo.Wire().Nodes[0]
	instructions := map[uint16]map[string]int{}
	for _, turns := range []uint16{0, 10, 20} {
		specs, err := bpf.Specs(bpf.Config{IPv4: node.IPv4, NIC: 1, NICMAC: node.MAC, Delay: turns})
		require.NoError(t, err)
		instructions[turns] = map[string]int{}
		for _, spec := range specs {
			for _, name := range []string{"xdp_entry", "from_netdev"} {
				if spec.Programs[name] == nil {
					continue
				}
				loaded, err := (&vector.Object{Path: "bpf", Spec: spec}).Load(vector.Configuration{Programs: []string{name}, Statistics: true})
				require.NoError(t, err)
				for _, v := range loaded.Verified() {
					instructions[turns][v.Program] = v.Instructions
				}
				require.NoError(t, loaded.Close())
			}
		}
	}
	for _, name := range []string{"xdp_entry", "from_netdev"} {
		none, ten, twenty := instructions[0][name], instructions[10][name], instructions[20][name]
		require.Positive(t, none)
		require.Greater(t, ten, none, name)
		require.Greater(t, twenty, ten, name)
	}
}
