package topo_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/topo"
)

// up brings a topology up for the length of a test.
func up(t testing.TB, topology topo.Topology) *topo.Network {
	t.Helper()
	network, err := topo.Up(context.Background(), topology)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, network.Close()) })
	return network
}

func machine(t testing.TB, network *topo.Network, name string) *topo.Machine {
	t.Helper()
	m, ok := network.Machine(name)
	require.True(t, ok, "no machine %s", name)
	return m
}

func TestExampleComesUp(t *testing.T) {
	t.Parallel()
	network := up(t, topo.Example())
	for _, name := range []string{"control-plane", "worker1", "worker2", "web-on-worker2", "client-on-worker1", "client"} {
		machine(t, network, name)
	}
}
