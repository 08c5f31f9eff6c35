package bpf_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
)

// crowd is many clients outside, and the flows that they open, each from another port.
type crowd struct {
	rig  *rig
	at   hook
	size int
	port uint16
}

// ask has each client open a flow and returns whom they got.
func (c *crowd) ask(t *testing.T, p bpf.Protocol, service netip.AddrPort) (got []netip.AddrPort) {
	t.Helper()
	c.port++
	for i := range c.size {
		from := host(fmt.Sprintf("172.31.1.%d", i), fmt.Sprintf("fd00:172:31::1:%d", i), client.mac.String())
		got = append(got, c.rig.offer(t, c.at, from, node1, message(p, from.at(familyAt(service), 20000+c.port), service)).Dst())
	}
	return got
}

func TestAffinity(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, at := range []hook{r.xdp(), r.fromNetdev()} {
		eachFlow(t, balanced, func(t *testing.T, f family, p bpf.Protocol) {
			require.NoError(t, r.DeleteFlows())
			c := &crowd{rig: r, at: at, size: 24}
			service := bpf.Service{
				Frontend: bpf.Frontend{Addr: node1.at(f, 30080), Protocol: p}, External: true, Affinity: time.Hour,
				Backends: []bpf.Backend{{Addr: remote.at(f, 80)}, {Addr: remote2.at(f, 80)}, {Addr: podA.at(f, 80)}, {Addr: podB.at(f, 80)}},
			}
			other := service // its backends are alive whatever becomes of the first's
			other.Addr = node1.at(f, 30081)
			require.NoError(t, r.Serve([]bpf.Service{service, other}, nil))

			first := c.ask(t, p, service.Addr)
			require.NotEqual(t, first, c.ask(t, p, other.Addr), "a client chooses for each service")
			for range 2 {
				require.Equal(t, first, c.ask(t, p, service.Addr))
				require.NoError(t, r.AgeAffinities(40*time.Minute)) // since the last flow, not the first
			}
			require.Equal(t, first, c.ask(t, p, service.Addr))

			gone := first[0]
			service.Backends = slices.DeleteFunc(service.Backends, func(b bpf.Backend) bool { return b.Addr == gone })
			require.NoError(t, r.PutService(service))
			second := c.ask(t, p, service.Addr)
			for i, backend := range second {
				if first[i] == gone {
					require.NotEqual(t, gone, backend)
				} else {
					require.Equal(t, first[i], backend, "client %d", i)
				}
			}
			service.Backends[0].Terminating = true
			require.NoError(t, r.PutService(service))
			require.NotContains(t, c.ask(t, p, service.Addr), service.Backends[0].Addr, "new flows avoid a backend that is terminating")

			service.Backends[0].Terminating = false
			require.NoError(t, r.PutService(service))
			third := c.ask(t, p, service.Addr)
			require.NoError(t, r.AgeAffinities(2*time.Hour))
			require.NotEqual(t, third, c.ask(t, p, service.Addr), "the time is over") // one chance in 3^24 that nobody moves

			require.NoError(t, r.Serve(nil, []bpf.Frontend{service.Frontend, other.Frontend}))
			used, err := r.Used()
			require.NoError(t, err)
			require.Zero(t, used)
		})
	}
}

// TestAffinityOfGroup has services of one group share their clients' choices, as far as they choose from the same backends.
func TestAffinityOfGroup(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	eachFlow(t, balanced, func(t *testing.T, f family, p bpf.Protocol) {
		require.NoError(t, r.DeleteFlows())
		service := func(port uint16) bpf.Service {
			return bpf.Service{
				Frontend: bpf.Frontend{Addr: node1.at(f, port), Protocol: p}, External: true, Affinity: time.Hour, Group: "web",
				Backends: []bpf.Backend{{Addr: remote.at(f, 80)}, {Addr: remote2.at(f, 80)}, {Addr: podA.at(f, 80), Local: true}, {Addr: podB.at(f, 80), Local: true}},
			}
		}
		one, two, near := service(1), service(2), service(3)
		near.ExternalLocal = true
		require.NoError(t, r.Serve([]bpf.Service{one, two, near}, nil))
		c := &crowd{rig: r, at: r.xdp(), size: 24}
		got := c.ask(t, p, one.Addr)
		require.Equal(t, got, c.ask(t, p, two.Addr))
		local := c.ask(t, p, near.Addr)
		require.Subset(t, []netip.AddrPort{podA.at(f, 80), podB.at(f, 80)}, local)
		require.Equal(t, local, c.ask(t, p, near.Addr))

		require.NoError(t, r.DeleteService(one.Frontend))
		require.Equal(t, got, c.ask(t, p, two.Addr), "what one service of the group leaves, the others have still")
		require.NoError(t, r.Serve(nil, []bpf.Frontend{two.Frontend, near.Frontend}))
		used, err := r.Used()
		require.NoError(t, err)
		require.Zero(t, used)
	})
}

// TestAffinityOfPods has pods be clients too, each of its own.
func TestAffinityOfPods(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	eachFlow(t, balanced, func(t *testing.T, f family, p bpf.Protocol) {
		service := bpf.Service{
			Frontend: bpf.Frontend{Addr: cluster.at(f, 80), Protocol: p}, Affinity: time.Hour,
			Backends: at(remote.at(f, 80), remote2.at(f, 80), remote.at(f, 81), remote2.at(f, 81)),
		}
		require.NoError(t, r.PutService(service))
		got := map[netip.AddrPort]bool{}
		for i := range uint16(16) {
			got[r.send(t, r.fromA(), podA, lxcA, message(p, podA.at(f, 20000+i), service.Addr)).Dst()] = true
		}
		require.Len(t, got, 1)
	})
}

// TestAffinityTableFull has more clients than are remembered: all are served, and the table stays in bounds.
func TestAffinityTableFull(t *testing.T) {
	t.Parallel()
	sizes := smallMaps
	sizes.Clients = 8
	r := newRigOf(t, sizes)
	c := &crowd{rig: r, at: r.xdp(), size: 200}
	service := bpf.Service{
		Frontend: bpf.Frontend{Addr: node1.at(v4, 30080), Protocol: bpf.UDP}, External: true, Affinity: time.Hour,
		Backends: at(remote.at(v4, 80), remote2.at(v4, 80)),
	}
	require.NoError(t, r.PutService(service))
	for _, backend := range c.ask(t, bpf.UDP, service.Addr) {
		require.Contains(t, service.Backends, bpf.Backend{Addr: backend})
	}
	remembered := entries[[24]byte, [16]byte](t, r.Maps.Affinities)
	require.NotEmpty(t, remembered)
	require.LessOrEqual(t, len(remembered), int(r.Maps.Affinities.MaxEntries()))
}
