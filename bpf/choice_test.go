package bpf_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
)

// TestWhoMayBeChosen has the world, a pod of this node and one of another ask services of every policy, with backends that
// come and go.
func TestWhoMayBeChosen(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	near := func(f family) bpf.Backend { return bpf.Backend{Addr: podA.at(f, 8080), Local: true} }
	near2 := func(f family) bpf.Backend { return bpf.Backend{Addr: podB.at(f, 8080), Local: true} }
	far := func(f family) bpf.Backend { return bpf.Backend{Addr: remote.at(f, 8080)} }
	leaving := func(which func(family) bpf.Backend) func(family) bpf.Backend {
		return func(f family) bpf.Backend {
			b := which(f)
			b.Terminating = true
			return b
		}
	}
	type backends []func(family) bpf.Backend
	type askers map[string]any // to the backends that they may get, or to the reason why they get none
	all := []string{"world", "pod", "far pod"}
	for _, c := range []struct {
		name     string
		policy   bpf.Service
		backends backends
		want     askers
	}{
		{"all", bpf.Service{}, backends{near, near2, far}, askers{"": backends{near, near2, far}}},
		{"none", bpf.Service{}, nil, askers{"": bpf.NoBackend}},
		{"one is leaving", bpf.Service{}, backends{near, leaving(far)}, askers{"": backends{near}}},
		{"all are leaving", bpf.Service{}, backends{leaving(near), leaving(far)}, askers{"": backends{near, far}}},
		{"external local", bpf.Service{ExternalLocal: true}, backends{near, near2, far},
			askers{"world": backends{near, near2}, "": backends{near, near2, far}}},
		{"external local, none here", bpf.Service{ExternalLocal: true}, backends{far}, askers{"world": bpf.NoLocalBackend, "": backends{far}}},
		{"external local, none at all", bpf.Service{ExternalLocal: true}, nil, askers{"": bpf.NoBackend}},
		{"external local, the one here is leaving", bpf.Service{ExternalLocal: true}, backends{leaving(near), far},
			askers{"world": backends{near}, "": backends{far}}},
		{"internal local", bpf.Service{InternalLocal: true}, backends{near, far},
			askers{"pod": backends{near}, "": backends{near, far}}},
		{"internal local, none here", bpf.Service{InternalLocal: true}, backends{far}, askers{"pod": bpf.NoLocalBackend, "": backends{far}}},
		{"host port", bpf.Service{InternalLocal: true, ExternalLocal: true}, backends{near, far}, askers{"": backends{near}}},
	} {
		for _, f := range families {
			c.policy.Frontend = bpf.Frontend{Addr: node1.at(f, 30080), Protocol: bpf.UDP}
			c.policy.External = true
			c.policy.Backends = nil
			for _, backend := range c.backends {
				c.policy.Backends = append(c.policy.Backends, backend(f))
			}
			require.NoError(t, r.PutService(c.policy))
			for _, who := range all {
				t.Run(fmt.Sprintf("%s/%s/%s", c.name, f, who), func(t *testing.T) {
					want, given := c.want[who]
					if !given {
						want = c.want[""]
					}
					reasons, chosen := r.chosen(t, who, c.policy.Addr)
					if reason, dropped := want.(bpf.DropReason); dropped {
						require.Equal(t, map[bpf.DropReason]bool{reason: true}, reasons)
						require.Empty(t, chosen)
						return
					}
					var addrs []netip.AddrPort
					for _, backend := range want.(backends) {
						addrs = append(addrs, backend(f).Addr)
					}
					require.Empty(t, reasons)
					require.ElementsMatch(t, addrs, chosen)
				})
			}
		}
	}
}

// chosen are the backends that many flows of somebody get, and why those of others got none.
func (r *rig) chosen(t *testing.T, who string, service netip.AddrPort) (map[bpf.DropReason]bool, []netip.AddrPort) {
	t.Helper()
	require.NoError(t, r.DeleteFlows())
	f := familyAt(service)
	reasons, backends := map[bpf.DropReason]bool{}, map[netip.AddrPort]bool{}
	for port := range uint16(24) {
		var outs []outcome
		switch who {
		case "pod":
			outs = append(outs, r.send(t, r.fromB(), podB, lxcB, message(bpf.UDP, podB.at(f, 20000+port), service)))
		case "far pod":
			outs = append(outs, r.send(t, r.xdp(), node2, node1, message(bpf.UDP, remote2.at(f, 20000+port), service)))
			outs = append(outs, r.send(t, r.fromNetdev(), node2, node1, message(bpf.UDP, remote2.at(f, 21000+port), service)))
		default:
			outs = append(outs, r.send(t, r.xdp(), client, node1, message(bpf.UDP, client.at(f, 20000+port), service)))
			outs = append(outs, r.send(t, r.fromNetdev(), client, node1, message(bpf.UDP, client.at(f, 21000+port), service)))
		}
		for _, out := range outs {
			if out.event.Reason != bpf.NoDrop {
				reasons[out.event.Reason] = true
			} else {
				backends[out.Dst()] = true
			}
		}
	}
	return reasons, slices.Collect(maps.Keys(backends))
}

func TestSourceRanges(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	prefix := netip.MustParsePrefix
	for _, f := range families {
		ranges := map[family][]netip.Prefix{
			v4: {prefix("172.31.0.1/32"), prefix("10.0.2.0/24"), prefix("198.51.100.7/24")},
			v6: {prefix("fd00:172:31::1/128"), prefix("fd00:10:0:2::/64"), prefix("2001:db8::7/64")},
		}[f]
		service := bpf.Service{
			Frontend: bpf.Frontend{Addr: node1.at(f, 30080), Protocol: bpf.TCP}, Backends: at(podA.at(f, 80), podB.at(f, 80)),
			External: true, Sources: ranges,
		}
		open := service
		open.Addr, open.Sources = node1.at(f, 30081), nil
		require.NoError(t, r.Serve([]bpf.Service{service, open}, nil))
		try := func(from machine) map[hook]outcome {
			outs := map[hook]outcome{}
			for _, at := range []hook{r.xdp(), r.fromNetdev()} {
				require.NoError(t, r.DeleteFlows())
				r.send(t, at, from, node1, message(bpf.TCP, from.at(f, 20000), open.Addr)).became(t, message(bpf.TCP, from.at(f, 20000), netip.AddrPort{}))
				outs[at] = r.send(t, at, from, node1, message(bpf.TCP, from.at(f, 20000), service.Addr))
			}
			return outs
		}
		for _, from := range []machine{client, remote, remote2, world} {
			for _, out := range try(from) {
				require.Equal(t, bpf.NoDrop, out.event.Reason, "%s", from.addr(f))
			}
		}
		for _, from := range []machine{silent, host("172.31.0.2", "fd00:172:31::2", ""), host("10.0.3.1", "fd00:10:0:3::1", "")} {
			for _, out := range try(from) {
				out.dropped(t, bpf.SourceRange)
			}
		}
		r.send(t, r.fromB(), podB, lxcB, message(bpf.TCP, podB.at(f, 20000), service.Addr)).dropped(t, bpf.SourceRange)

		running := message(bpf.TCP, client.at(f, 20001), service.Addr)
		require.Equal(t, bpf.NoDrop, r.send(t, r.xdp(), client, node1, running).event.Reason)
		service.Sources = ranges[1:]
		require.NoError(t, r.PutService(service))
		require.Equal(t, bpf.NoDrop, r.send(t, r.xdp(), client, node1, running).event.Reason, "a running flow goes on")
		r.send(t, r.xdp(), client, node1, message(bpf.TCP, client.at(f, 20002), service.Addr)).dropped(t, bpf.SourceRange)
		used, err := r.Used()
		require.NoError(t, err)
		require.Equal(t, 2, used.Sources, "the old list is gone")

		require.NoError(t, r.Serve(nil, []bpf.Frontend{service.Frontend, open.Frontend}))
	}
}
