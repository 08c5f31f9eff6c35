package bpf_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
)

func TestPodToPodOnOneNode(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	eachFlow(t, protocols, func(t *testing.T, f family, p bpf.Protocol) {
		request := message(p, podA.at(f, 40000), podB.at(f, port(p, 80)))
		out := r.send(t, r.fromA(), podA, lxcA, request)
		out.is(t, bpf.RedirectPeer, r.lxcB)
		out.became(t, frame(lxcB, podB), hops(f, 63), request)

		reply := message(p, podB.at(f, port(p, 80)), podA.at(f, 40000))
		out = r.send(t, r.fromB(), podB, lxcB, reply)
		out.is(t, bpf.RedirectPeer, r.lxcA)
		out.became(t, frame(lxcA, podA), hops(f, 63), reply)
	})
}

func TestPodToPodOnAnotherNode(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	eachFlow(t, protocols, func(t *testing.T, f family, p bpf.Protocol) {
		request := message(p, podA.at(f, 40000), remote.at(f, port(p, 80)))
		out := r.send(t, r.fromA(), podA, lxcA, request)
		out.is(t, bpf.RedirectNeigh, r.nic)
		out.became(t, frame(podA, lxcA), hops(f, 63), request) // the kernel writes the next hop's MAC

		out = r.send(t, r.toNetdev(r.lxcA), node1, node2, hops(f, 63), request)
		out.untouched(t)

		reply := message(p, remote.at(f, port(p, 80)), podA.at(f, 40000))
		r.send(t, r.xdp(), node2, node1, hops(f, 63), reply).untouched(t)
		out = r.send(t, r.fromNetdev(), node2, node1, hops(f, 63), reply)
		out.is(t, bpf.RedirectPeer, r.lxcA)
		out.became(t, frame(lxcA, podA), hops(f, 62), reply)
	})
}

func TestWithoutRedirectHelpers(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *bpf.Config) { c.WithoutRedirectPeer, c.WithoutRedirectNeigh = true, true })
	eachFlow(t, protocols, func(t *testing.T, f family, p bpf.Protocol) {
		local := message(p, podA.at(f, 40000), podB.at(f, port(p, 80)))
		out := r.send(t, r.fromA(), podA, lxcA, local)
		out.is(t, bpf.Redirect, r.lxcB)
		out.became(t, frame(lxcB, podB), hops(f, 63), local)
		r.send(t, r.toA(r.lxcA), lxcB, podB, hops(f, 63), local).untouched(t)

		remotely := message(p, podA.at(f, 40000), remote.at(f, port(p, 80)))
		out = r.send(t, r.fromA(), podA, lxcA, remotely)
		out.is(t, bpf.Redirect, r.nic)
		out.became(t, frame(node1, node2), hops(f, 63), remotely)

		// A neighbour that is not resolved yet is the stack's.
		r.send(t, r.fromA(), podA, lxcA, message(p, podA.at(f, 40000), silent.at(f, port(p, 80)))).untouched(t)
	})
}

// TestUnresolvedWithoutRedirectHelpers has translated packets for a neighbour that the kernel does not know.
func TestUnresolvedWithoutRedirectHelpers(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *bpf.Config) { c.WithoutRedirectPeer, c.WithoutRedirectNeigh = true, true })
	eachFlow(t, balanced, func(t *testing.T, f family, p bpf.Protocol) {
		r.serve(t, p, node1.at(f, 30080), silent.at(f, 80))
		r.serve(t, p, node1.at(f, 30081), podA.at(f, 80))

		t.Run("under the node's address", func(t *testing.T) {
			r.send(t, r.fromNetdev(), client, node1, message(p, client.at(f, 40000), node1.at(f, 30080))).dropped(t, bpf.NoNeighbour)
		})
		t.Run("under the pod's address", func(t *testing.T) {
			peer := netip.PrefixFrom(silent.addr(f), silent.addr(f).BitLen())
			require.NoError(t, r.PutPrefix(peer, bpf.EntityNode))
			out := r.send(t, r.fromA(), podA, lxcA, message(p, podA.at(f, 40000), node1.at(f, 30080)))
			out.is(t, bpf.Pass, 0)
			out.became(t, hops(f, 64), message(p, podA.at(f, 40000), silent.at(f, 80)))
		})
		t.Run("answer", func(t *testing.T) {
			r.send(t, r.fromNetdev(), silent, node1, message(p, silent.at(f, 40000), node1.at(f, 30081))).is(t, bpf.Redirect, r.lxcA)
			out := r.send(t, r.fromA(), podA, lxcA, message(p, podA.at(f, 80), silent.at(f, 40000)))
			out.is(t, bpf.Redirect, r.nic)
			out.became(t, frame(node1, silent), message(p, node1.at(f, 30081), silent.at(f, 40000)))
		})
	})
}

func TestPodAndItsNode(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	eachFlow(t, protocols, func(t *testing.T, f family, p bpf.Protocol) {
		for _, own := range []machine{node1, lxcA} {
			r.send(t, r.fromA(), podA, lxcA, message(p, podA.at(f, 40000), own.at(f, port(p, 80)))).untouched(t)
			r.send(t, r.toA(0), lxcA, podA, message(p, own.at(f, port(p, 80)), podA.at(f, 40000))).untouched(t)
		}
	})
}

func TestSourceOfPod(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	eachFlow(t, protocols, func(t *testing.T, f family, p bpf.Protocol) {
		for name, forged := range map[string]machine{"another pod's": podB, "the node's": node1, "the world's": world} {
			t.Run(name, func(t *testing.T) {
				out := r.send(t, r.fromA(), podA, lxcA, message(p, forged.at(f, 40000), remote.at(f, port(p, 80))))
				out.dropped(t, bpf.InvalidSource)
			})
		}
	})
	t.Run("unknown device", func(t *testing.T) {
		nobody := r.fromA()
		nobody.device = r.nic
		r.send(t, nobody, podA, node1, message(bpf.TCP, podA.at(v4, 40000), remote.at(v4, 80))).dropped(t, bpf.NoEndpoint)
	})
}

func TestNotForTheDatapath(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, f := range families {
		r.serve(t, bpf.UDP, node1.at(f, 30080), remote.at(f, 80))
	}
	elsewhere := host("172.16.0.3", "fd00:172:16::3", "02:01:00:00:00:03")
	group := host("224.0.0.251", "ff02::fb", "01:00:5e:00:00:fb")
	for _, f := range families {
		t.Run(string(f), func(t *testing.T) {
			udp := message(bpf.UDP, podA.at(f, 40000), podB.at(f, 53))
			for _, at := range []hook{r.xdp(), r.fromNetdev()} {
				r.send(t, at, node2, elsewhere, udp).untouched(t) // flooded to us
				r.send(t, at, node2, group, udp).untouched(t)
				r.send(t, at, client, elsewhere, message(bpf.UDP, client.at(f, 40000), node1.at(f, 30080))).untouched(t)
			}
			r.send(t, r.fromA(), podA, elsewhere, udp).untouched(t)
			r.send(t, r.fromA(), podA, group, message(bpf.UDP, podA.at(f, 5353), group.at(f, 5353))).untouched(t)

		})
	}
}
