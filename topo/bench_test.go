package topo_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/topo"
)

// BenchmarkUp brings clusters up, captures and mutes them, and takes them down again. Each phase is a metric of its own.
func BenchmarkUp(b *testing.B) {
	big := topo.Cluster(30)
	for _, node := range big.Nodes {
		for pod := range 9 {
			big.AddPod(fmt.Sprintf("more%d-on-%s", pod, node.Name), node.Name)
		}
	}
	for _, bench := range []struct {
		name     string
		topology topo.Topology
	}{
		{"nodes=3", topo.Example()},
		{"nodes=30", big},
	} {
		b.Run(bench.name, func(b *testing.B) {
			phases := map[string]time.Duration{}
			for b.Loop() {
				network, err := topo.Up(context.Background(), bench.topology)
				require.NoError(b, err)
				for _, phase := range network.Phases() {
					phases[phase.Name] += phase.Duration
				}
				for _, step := range []struct {
					name string
					run  func() error
				}{
					{"capture", func() error {
						_, err := network.Capture(func(topo.Frame) {})
						return err
					}},
					{"mute", network.Mute},
					{"close", network.Close},
				} {
					start := time.Now()
					require.NoError(b, step.run())
					phases[step.name] += time.Since(start)
				}
			}
			for name, total := range phases {
				b.ReportMetric(float64(total)/float64(time.Millisecond)/float64(b.N), name+"-ms/op")
			}
		})
	}
}
