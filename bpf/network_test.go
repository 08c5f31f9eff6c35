package bpf_test

import (
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness/packet"
)

// decrypted is a pod of node 2. What comes out of WireGuard has no Ethernet header, but BPF_PROG_RUN takes the type of a packet from
// where that would have it, in the middle of these source addresses: 8.0.… and …:86dd:….
var decrypted = host("8.0.2.1", "fd00:10:86dd:2::1", "02:01:00:00:00:02")

// newEncryptingRig is node 1 with a device that encrypts, for which that of pod b stands in.
func newEncryptingRig(t testing.TB) *rig {
	r := newRig(t, func(c *bpf.Config) { c.WireGuard = c.NIC + 4 })
	require.Equal(t, r.lxcB, r.nic+4, "the pairs of devices are made one after the other")
	r.ns.try(t, func() error { return addRoute("8.0.2.0/24", r.lxcB, nil) })
	r.ns.try(t, func() error { return addRoute("fd00:10:86dd:2::/64", r.lxcB, nil) })
	for prefix, entity := range map[string]bpf.Entity{"8.0.2.0/24": bpf.EntityPod, "fd00:10:86dd::/48": bpf.EntityPod} {
		require.NoError(t, r.PutPrefix(netip.MustParsePrefix(prefix), entity))
	}
	return r
}

func (r *rig) fromNetwork() hook {
	return hook{bpf.AtFromNetwork, r.Programs.FromNetwork, r.nic, r.nic}
}

// decrypt has a packet come out of the device: without its Ethernet header.
func (r *rig) decrypt(t testing.TB, layers ...packet.Template) outcome {
	t.Helper()
	out := r.run(t, r.fromNetwork(), r.build(t, decrypted, node1, layers...).Data[l3:])
	require.NoError(t, packet.VerifyChecksums(out.Packet), "%s", out.Packet)
	r.checkFlows(t)
	return out
}

// passes has a packet come out that is the stack's: it stays as it is, and is counted without a word.
func (r *rig) passes(t testing.TB, data []byte) {
	t.Helper()
	before := r.counted(t, bpf.AtFromNetwork, bpf.Pass)
	r.isTheStacks(t, data)
	require.Equal(t, before+1, r.counted(t, bpf.AtFromNetwork, bpf.Pass))
}

// isTheStacks is passes, but for the counter.
func (r *rig) isTheStacks(t testing.TB, data []byte) {
	t.Helper()
	options := &ebpf.RunOptions{Data: data, DataOut: make([]byte, len(data)+256)}
	var code uint32
	r.ns.try(t, func() (err error) {
		code, err = r.Programs.FromNetwork.Run(options)
		return err
	})
	require.Zero(t, code)
	require.Equal(t, data, options.DataOut)
	require.Zero(t, r.events.AvailableBytes())
}

// counted is how many packets a verdict was counted for.
func (r *rig) counted(t testing.TB, at bpf.Point, v bpf.Verdict) uint64 {
	t.Helper()
	metrics, err := r.Metrics()
	require.NoError(t, err)
	for _, m := range metrics {
		if m.Point == at && m.Verdict == v && m.Reason == bpf.NoDrop {
			return m.Packets
		}
	}
	return 0
}

func TestDecryptedForPod(t *testing.T) {
	t.Parallel()
	r := newEncryptingRig(t)
	eachFlow(t, protocols, func(t *testing.T, f family, p bpf.Protocol) {
		request := message(p, decrypted.at(f, 40000), podA.at(f, port(p, 80)))
		out := r.decrypt(t, request)
		out.is(t, bpf.Redirect, r.lxcA) // bpf_redirect_peer is for devices with Ethernet
		out.became(t, frame(lxcA, podA), hops(f, 63), request)
		require.Empty(t, r.checkFlows(t))

		out = r.decrypt(t, hops(f, 2), request)
		out.became(t, hops(f, 1), request)
	})
}

func TestDecryptedForTheStack(t *testing.T) {
	t.Parallel()
	r := newEncryptingRig(t)
	eachFlow(t, protocols, func(t *testing.T, f family, p bpf.Protocol) {
		for name, layers := range map[string][]packet.Template{
			"no hop is left": {hops(f, 1), message(p, decrypted.at(f, 40000), podA.at(f, port(p, 80)))},
			"for the node":   {message(p, decrypted.at(f, 40000), node1.at(f, port(p, 80)))},
			"for another":    {message(p, decrypted.at(f, 40000), remote.at(f, port(p, 80)))},
		} {
			t.Run(name, func(t *testing.T) { r.passes(t, r.build(t, decrypted, node1, layers...).Data[l3:]) })
		}
	})
	t.Run("no IP", func(t *testing.T) {
		data := r.build(t, decrypted, node1, message(bpf.TCP, decrypted.at(v4, 40000), podA.at(v4, 80))).Data[l3:]
		data[13] = 6 // the type becomes that of ARP
		r.passes(t, data)
	})
}

// TestDecryptedAnswer has the answer of a service's backend come out of the device.
func TestDecryptedAnswer(t *testing.T) {
	t.Parallel()
	r := newEncryptingRig(t)
	eachFlow(t, balanced, func(t *testing.T, f family, p bpf.Protocol) {
		r.serve(t, p, node1.at(f, 30080), decrypted.at(f, 8080))
		request := r.send(t, r.fromA(), podA, lxcA, message(p, podA.at(f, 40000), node1.at(f, 30080)))
		request.is(t, bpf.Redirect, r.lxcB)
		request.became(t, hops(f, 63), message(p, podA.at(f, 40000), decrypted.at(f, 8080)))

		out := r.decrypt(t, message(p, decrypted.at(f, 8080), podA.at(f, 40000)))
		out.is(t, bpf.Redirect, r.lxcA)
		out.became(t, frame(lxcA, podA), hops(f, 63), message(p, node1.at(f, 30080), podA.at(f, 40000)))
	})
}

func TestDecryptedAndCutShort(t *testing.T) {
	t.Parallel()
	r := newEncryptingRig(t)
	for _, f := range families {
		whole := r.build(t, decrypted, node1, message(bpf.TCP, decrypted.at(f, 40000), podA.at(f, 80))).Data[l3:]
		long := append(make([]byte, l3), whole...)
		setLength(long, f, len(whole)+1)
		r.run(t, r.fromNetwork(), long[l3:]).dropped(t, bpf.Invalid)
	}
}

// TestEncryptedByTheStack leaves to the stack what IPsec encrypts: all between pods, and nothing else.
func TestEncryptedByTheStack(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *bpf.Config) { c.IPsec = true })
	eachFlow(t, protocols, func(t *testing.T, f family, p bpf.Protocol) {
		r.send(t, r.fromA(), podA, lxcA, message(p, podA.at(f, 40000), remote.at(f, port(p, 80)))).untouched(t)
		out := r.send(t, r.fromA(), podA, lxcA, message(p, podA.at(f, 40000), world.at(f, port(p, 80))))
		out.is(t, bpf.RedirectNeigh, r.nic)
	})
}

// TestDecryptedAnswerInFragments has a backend answer in fragments: each leaves with the service's address.
func TestDecryptedAnswerInFragments(t *testing.T) {
	t.Parallel()
	r := newEncryptingRig(t)
	for _, f := range families {
		r.serve(t, bpf.UDP, node1.at(f, 30080), decrypted.at(f, 40000))
		r.send(t, r.fromA(), podA, lxcA, message(bpf.UDP, podA.at(f, 5000), node1.at(f, 30080)))
		for _, first := range []bool{true, false} {
			sent, err := packet.Build(append(packet.Layers{frame(decrypted, node1)}, fragmentOf(f, first, decrypted, podA, 5000)...), packet.Defaults{})
			require.NoError(t, err)
			out := r.run(t, r.fromNetwork(), sent.Data[l3:])
			out.is(t, bpf.Redirect, r.lxcA)
			require.Equal(t, node1.addr(f), out.Src().Addr(), "first: %t: %s", first, out.Packet)
		}
	}
}
