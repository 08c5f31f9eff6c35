package bench

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/ebpf"
	"github.com/skbench/skbench/topo"
)

// BenchmarkLab brings labs up and down with the ebpf datapath, observed as in a
// test. It reports medians: up-ms and down-ms, and of each phase of coming up.
func BenchmarkLab(b *testing.B) {
	large := topo.Cluster(30)
	for _, node := range large.Nodes {
		for len(podsOf(large, node.Name)) < 10 {
			large.AddPod(fmt.Sprintf("pod%d-on-%s", len(large.Pods), node.Name), node.Name)
		}
	}
	for _, c := range []struct {
		name     string
		topology topo.Topology
	}{
		{"nodes=3", topo.Example()},
		{"nodes=30", large},
	} {
		b.Run(c.name, func(b *testing.B) { benchmarkLab(b, c.topology) })
	}
}

func benchmarkLab(b *testing.B, topology topo.Topology) {
	took := map[string][]time.Duration{}
	for b.Loop() {
		start := time.Now()
		lab, err := harness.New(b.Context(), topology, ebpf.Datapath())
		if err != nil {
			b.Fatal(err)
		}
		up := time.Now()
		took["up"] = append(took["up"], up.Sub(start))
		for _, phase := range lab.Phases() {
			took[phase.Name] = append(took[phase.Name], phase.Duration)
		}
		if err := lab.Close(); err != nil {
			b.Fatal(err)
		}
		took["down"] = append(took["down"], time.Since(up))
	}
	for phase, times := range took {
		slices.Sort(times)
		b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, phase+"-ms")
	}
}

func podsOf(t topo.Topology, node string) (pods []topo.Pod) {
	for _, pod := range t.Pods {
		if pod.Node == node {
			pods = append(pods, pod)
		}
	}
	return pods
}

func TestLabsAreMeasuredUpAndDown(t *testing.T) {
	r := little()
	r.labNodes = []int{1, 2}
	require.NoError(t, r.labs(t.Context()))
	var got []string
	for _, result := range r.results.Results {
		require.Equal(t, "s", result.Unit)
		require.Positive(t, result.Samples[0])
		got = append(got, result.Params["nodes"]+" "+result.Params["phase"])
	}
	require.Equal(t, []string{"1 up", "1 down", "2 up", "2 down"}, got)
}
