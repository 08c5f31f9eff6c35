package bench

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness/vector"
	"github.com/skbench/skbench/topo"
)

// What is found by many turns is tried, and what is missing added, until as much is added as was wanted.
func TestDelayIsCalibrated(t *testing.T) {
	t.Parallel()
	costs := func(cost float64) *Results { // in two laps, in the second of which the machine was slower
		return &Results{Results: []Result{{}, {Laps: 2, Samples: []float64{cost, 1.5 * cost}, Median: cost}}}
	}
	for _, test := range []struct {
		name  string
		added func(turns, try int) float64 // ns, to 60
		want  []int                        // turns that were tried
		fails string
	}{
		{"in proportion", func(turns, _ int) float64 { return 0.5 * float64(turns) }, []int{1000, 12, 12, 12}, ""},
		{"the first of them cost nothing", func(turns, _ int) float64 { return max(0.1, 0.5*float64(turns)-4) },
			[]int{1000, 12, 12, 12, 20, 20, 20}, ""},
		{"a noisy machine", func(turns, try int) float64 { return 0.5*float64(turns) + float64(try%3-1) }, []int{1000, 12, 12, 12}, ""},
		{"one that is another each time", func(turns, try int) float64 { return 0.5*float64(turns) + 1.8*float64((try+2)/3%2) - 0.9 },
			[]int{1000, 12, 12, 12, 10, 10, 10, 14, 14, 14, 10, 10, 10}, ""},
		{"one too noisy", func(turns, try int) float64 { return float64(500 - 1000*((try+2)/3%2)) },
			[]int{1000, 12, 12, 12, 1024, 1024, 1024, 36, 36, 36, 1048, 1048, 1048}, "1048 turns added 500.0 ns to 60 ns"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var tried []int
			delay, err := Proof{Slower: 0.1}.calibrate(func(turns uint16, _ string) (Comparison, error) {
				tried = append(tried, int(turns))
				return Comparison{Old: costs(59), Same: costs(61), Slower: costs(60 + test.added(int(turns), len(tried)-1))}, nil
			})
			require.Equal(t, test.want, tried)
			if test.fails != "" {
				require.ErrorContains(t, err, test.fails)
				return
			}
			require.NoError(t, err)
			require.InDelta(t, 60, delay.Alone, 1e-9)
			require.InDelta(t, 6, delay.Added, 2)
		})
	}
	_, err := Proof{Datapath: "iptables"}.Run(t.Context(), nil, nil)
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
