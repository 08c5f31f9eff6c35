package bpf_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
)

func TestMasquerade(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	eachFlow(t, protocols, func(t *testing.T, f family, p bpf.Protocol) {
		request := message(p, podA.at(f, 40000), world.at(f, port(p, 80)))
		reply := message(p, world.at(f, port(p, 80)), podA.at(f, 40000))

		out := r.send(t, r.fromA(), podA, lxcA, request)
		out.is(t, bpf.RedirectNeigh, r.nic)
		out.became(t, hops(f, 63), request)
		out = r.pass(t, r.toNetdev(r.lxcA), asPassed(out))
		out.is(t, bpf.Pass, 0)
		port1 := echoID(t, out)
		require.GreaterOrEqual(t, port1, uint16(49152))
		out.became(t, hops(f, 63), message(p, node1.at(f, port1), world.at(f, port(p, 80))))

		answer := message(p, world.at(f, port(p, 80)), node1.at(f, port1))
		out = r.send(t, r.xdp(), gateway, node1, answer)
		out.is(t, bpf.Pass, 0)
		require.True(t, out.handed)
		out.became(t, hops(f, 64), reply)
		out = r.pass(t, r.fromNetdev(), out) // not knowing that XDP did it, nor taking it for a flow of the world's
		out.is(t, bpf.RedirectPeer, r.lxcA)
		out.became(t, frame(lxcA, podA), hops(f, 63), reply)

		out = r.send(t, r.fromNetdev(), gateway, node1, answer)
		out.is(t, bpf.RedirectPeer, r.lxcA)
		out.became(t, frame(lxcA, podA), hops(f, 63), reply)
		require.Len(t, r.checkFlows(t), 2)
		require.NoError(t, r.DeleteFlows())
	})
}

func TestNoMasquerade(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	eachFlow(t, protocols, func(t *testing.T, f family, p bpf.Protocol) {
		for name, peer := range map[string]machine{"pod of another node": remote, "another node": node2} {
			t.Run(name, func(t *testing.T) {
				request := message(p, podA.at(f, 40000), peer.at(f, port(p, 80)))
				r.send(t, r.toNetdev(r.lxcA), node1, node2, request).untouched(t)
			})
		}
		t.Run("node to world", func(t *testing.T) {
			r.send(t, r.toNetdev(0), node1, gateway, message(p, node1.at(f, 40000), world.at(f, port(p, 80)))).untouched(t)
		})
		t.Run("forwarded, but of no pod", func(t *testing.T) {
			r.send(t, r.toNetdev(r.nic), node1, gateway, message(p, client.at(f, 40000), world.at(f, port(p, 80)))).untouched(t)
		})
		require.Empty(t, r.checkFlows(t))
	})
}

// TestWorldToPod has the world address a pod directly: the pod answers under its own address.
func TestWorldToPod(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	eachFlow(t, protocols, func(t *testing.T, f family, p bpf.Protocol) {
		request := message(p, world.at(f, 40000), podA.at(f, port(p, 80)))
		reply := message(p, podA.at(f, port(p, 80)), world.at(f, 40000))
		for range 2 {
			out := r.send(t, r.fromNetdev(), gateway, node1, request)
			out.is(t, bpf.RedirectPeer, r.lxcA)
			out.became(t, frame(lxcA, podA), hops(f, 63), request)

			out = r.send(t, r.fromA(), podA, lxcA, reply)
			out.is(t, bpf.RedirectNeigh, r.nic)
			out.became(t, hops(f, 63), reply)
			r.pass(t, r.toNetdev(r.lxcA), asPassed(out)).untouched(t)
		}
		require.Len(t, r.checkFlows(t), 2)
		require.NoError(t, r.DeleteFlows())
	})
}

// TestEchoReplyOpensNoFlow has a pod answer an echo that nobody remembers: its identifier is the other side's and stays.
func TestEchoReplyOpensNoFlow(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, f := range families {
		r.send(t, r.toNetdev(r.lxcA), node1, gateway, message(bpf.ICMP, podA.at(f, 0), world.at(f, 7))).untouched(t)
		r.send(t, r.fromNetdev(), gateway, node1, message(bpf.ICMP, world.at(f, 0), podA.at(f, 7))).is(t, bpf.RedirectPeer, r.lxcA)
		require.Empty(t, r.checkFlows(t))
	}
}
