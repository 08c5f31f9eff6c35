package bpf_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
)

// maglevSizes are tables and the most backends for which each has 100 entries, and some with fewer.
var maglevSizes = []struct{ entries, backends int }{
	{16381, 163}, {16381, 5}, {16381, 2}, {32749, 327}, {65521, 100}, {65537, 655}, {65537, 20}, {65537, 3},
}

func backendNames(n int) []string {
	var names []string
	for i := range n {
		names = append(names, bpf.Frontend{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 80), Protocol: bpf.TCP}.String())
	}
	return names
}

// TestMaglevIsFullAndEven has section 3.4 of the paper say how even: no two backends differ by more than one entry.
func TestMaglevIsFullAndEven(t *testing.T) {
	t.Parallel()
	for _, c := range append(maglevSizes, struct{ entries, backends int }{16381, 16381}, struct{ entries, backends int }{65537, 1}) {
		t.Run(fmt.Sprintf("%d of %d", c.backends, c.entries), func(t *testing.T) {
			t.Parallel()
			table := bpf.MaglevTable(backendNames(c.backends), c.entries)
			require.Len(t, table, c.entries)
			load := make([]int, c.backends)
			for _, backend := range table {
				load[backend]++
			}
			require.LessOrEqual(t, slices.Max(load)-slices.Min(load), 1)
		})
	}
}

// TestMaglevDisruption takes each of many backends away in turn: of the entries that were others', at most 2 % move.
func TestMaglevDisruption(t *testing.T) {
	t.Parallel()
	for _, c := range maglevSizes {
		t.Run(fmt.Sprintf("%d of %d", c.backends, c.entries), func(t *testing.T) {
			t.Parallel()
			names := backendNames(c.backends)
			whole := bpf.MaglevTable(names, c.entries)
			worst := 0.0
			for gone := 0; gone < c.backends; gone += max(1, c.backends/16) {
				moved, others := moves(names, whole, gone)
				worst = max(worst, float64(moved)/float64(others))
			}
			t.Logf("at most %.2f %% of the others' entries move", 100*worst)
			require.LessOrEqual(t, worst, 0.02)
		})
	}
}

// moves counts the entries that a backend's departure moves, of those that were others'.
func moves(names []string, whole []uint32, gone int) (moved, others int) {
	rest := slices.Delete(slices.Clone(names), gone, gone+1)
	for i, now := range bpf.MaglevTable(rest, len(whole)) {
		if before := names[whole[i]]; before != names[gone] {
			others++
			if before != rest[now] {
				moved++
			}
		}
	}
	return moved, others
}

func TestMaglevOfNone(t *testing.T) {
	t.Parallel()
	require.Empty(t, bpf.MaglevTable(nil, bpf.MinMaglev))
}

// TestMaglevInTheDatapath holds what flows choose against the table: another order of the backends, another node, and after a
// backend has gone.
func TestMaglevInTheDatapath(t *testing.T) {
	t.Parallel()
	sizes := smallMaps
	sizes.Slots, sizes.Flows, sizes.Backends = 4*bpf.MinMaglev, 1<<14, 256
	nodes := []*rig{newRigOf(t, sizes), newRigOf(t, sizes)}
	const backends, flows = 20, 1000
	for _, f := range families {
		var all []bpf.Backend
		for i := range backends {
			all = append(all, bpf.Backend{Addr: remote.at(f, uint16(8000+i))})
		}
		choices := func(r *rig, backends []bpf.Backend) (chosen []netip.AddrPort) {
			require.NoError(t, r.DeleteFlows())
			require.NoError(t, r.PutService(bpf.Service{
				Frontend: bpf.Frontend{Addr: cluster.at(f, 80), Protocol: bpf.UDP}, Backends: backends, External: true, Maglev: bpf.MinMaglev,
			}))
			for i := range flows {
				chosen = append(chosen, r.offer(t, r.xdp(), client, node1, message(bpf.UDP, client.at(f, uint16(20000+i)), cluster.at(f, 80))).Dst())
			}
			return chosen
		}
		first := choices(nodes[0], all)
		load := map[netip.AddrPort]int{}
		for _, backend := range first {
			load[backend]++
		}
		require.Len(t, load, backends)
		for backend, n := range load {
			require.InDelta(t, flows/backends, n, 30, "flows to %s", backend) // 4 standard deviations
		}

		slices.Reverse(all)
		require.NoError(t, nodes[1].PutService(bpf.Service{ // whose backends have other numbers there
			Frontend: bpf.Frontend{Addr: cluster.at(f, 81), Protocol: bpf.UDP}, Backends: all[3:7],
		}))
		require.Equal(t, first, choices(nodes[1], all))

		gone, moved, others := all[7].Addr, 0, 0
		for i, backend := range choices(nodes[1], slices.Delete(all, 7, 8)) {
			switch {
			case first[i] == gone:
				require.NotEqual(t, gone, backend)
			case backend != first[i]:
				moved++
			default:
				others++
			}
		}
		t.Logf("%s: %d of %d flows to other backends moved", f, moved, moved+others)
		require.LessOrEqual(t, 50*moved, moved+others)
	}
}

func TestMaglevSizes(t *testing.T) {
	t.Parallel()
	var node bpf.Node // no map is ever touched
	service := bpf.Service{Frontend: bpf.Frontend{Addr: cluster.at(v4, 80), Protocol: bpf.TCP}, Backends: at(podA.at(v4, 80))}
	for _, size := range []int{-1, 1, 1021, 16380, 16383, 65536, 131071} {
		service.Maglev = size
		require.ErrorContains(t, node.PutService(service), "give a prime from 16381 to 65537", "%d", size)
	}
	service.Maglev, service.Backends = 16381, nil
	for i := range 16382 {
		service.Backends = append(service.Backends, bpf.Backend{Addr: podA.at(v4, uint16(i+1))})
	}
	require.ErrorContains(t, node.PutService(service), "16382 backends in a Maglev table of 16381 entries")
}

func BenchmarkMaglev(b *testing.B) {
	for _, c := range []struct{ entries, backends int }{{16381, 100}, {65537, 100}, {65537, 1000}} {
		b.Run(fmt.Sprintf("entries=%d/backends=%d", c.entries, c.backends), func(b *testing.B) {
			names := backendNames(c.backends)
			for b.Loop() {
				bpf.MaglevTable(names, c.entries)
			}
		})
	}
}
