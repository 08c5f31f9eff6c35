package bpf_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness/packet"
)

// ask sends neighbour discovery from pod a.
func (r *rig) ask(t testing.TB, layers ...packet.Template) outcome {
	t.Helper()
	sent, err := packet.Build(packet.Layers(layers), packet.Defaults{
		SrcMAC: podA.mac, DstMAC: lxcA.mac, SrcIPv4: podA.ipv4, SrcIPv6: podA.ipv6,
	})
	require.NoError(t, err)
	out := r.run(t, r.fromA(), sent.Data)
	require.NoError(t, packet.VerifyChecksums(out.Packet))
	return out
}

func TestGatewayIsAnswered(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	t.Run("ARP", func(t *testing.T) {
		out := r.ask(t, packet.WhoHas(lxcA.ipv4))
		out.is(t, bpf.Redirect, r.lxcA)
		out.became(t, frame(lxcA, podA), packet.ARP{
			Op: packet.ARPReply, SenderMAC: lxcA.mac, SenderIP: lxcA.ipv4, TargetMAC: podA.mac, TargetIP: podA.ipv4,
		})
	})
	advertisement := packet.ICMPv6{
		Src: lxcA.ipv6, Dst: podA.ipv6, Type: packet.ICMPv6NeighbourAdvertisement,
		Target: lxcA.ipv6, Router: true, Solicited: true, Override: true, LinkAddr: lxcA.mac,
	}
	t.Run("neighbour solicitation to the group", func(t *testing.T) {
		out := r.ask(t, packet.WhoHas(lxcA.ipv6))
		out.is(t, bpf.Redirect, r.lxcA)
		out.became(t, frame(lxcA, podA), packet.IPv6{HopLimit: 255}, advertisement)
	})
	t.Run("to the gateway itself", func(t *testing.T) {
		out := r.ask(t, packet.ICMPv6{Type: packet.ICMPv6NeighbourSolicitation, Dst: lxcA.ipv6, Target: lxcA.ipv6})
		out.is(t, bpf.Redirect, r.lxcA)
		out.became(t, frame(lxcA, podA), packet.IPv6{HopLimit: 255}, advertisement)
	})
	t.Run("without an option", func(t *testing.T) {
		out := r.run(t, r.fromA(), withoutOption(t, packet.ICMPv6{Type: packet.ICMPv6NeighbourSolicitation, Dst: lxcA.ipv6, Target: lxcA.ipv6}))
		out.is(t, bpf.Redirect, r.lxcA)
		require.NoError(t, packet.VerifyChecksums(out.Packet))
		without := advertisement
		without.LinkAddr = nil
		out.became(t, frame(lxcA, podA), packet.IPv6{HopLimit: 255}, without)
	})
}

func TestOtherNeighbourDiscoveryIsTheStacks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	linkLocal := netip.MustParseAddr("fe80::1") // no address of the pod's, which is for the stack to mind
	for name, layers := range map[string]packet.Layers{
		"ARP for another address":      {packet.WhoHas(podB.ipv4)},
		"ARP announcement":             {packet.ARP{Op: packet.ARPRequest, TargetIP: podA.ipv4}},
		"ARP reply":                    {packet.IsAt(podA.ipv4, podA.mac)},
		"solicitation of another":      {packet.WhoHas(podB.ipv6)},
		"advertisement":                {packet.IsAt(podA.ipv6, podA.mac)},
		"solicitation that was routed": {packet.IPv6{HopLimit: 64}, packet.WhoHas(lxcA.ipv6)},
		"duplicate address detection":  {packet.IPv6{Src: unspecified}, packet.ICMPv6{Src: unspecified, Type: packet.ICMPv6NeighbourSolicitation, Target: lxcA.ipv6}},
		"router solicitation, unicast": {packet.ICMPv6{Src: linkLocal, Dst: lxcA.ipv6, Type: packet.ICMPv6RouterSolicitation, Payload: make([]byte, 4)}},
		"redirect, unicast":            {packet.ICMPv6{Src: linkLocal, Dst: lxcA.ipv6, Type: 137, Payload: make([]byte, 36)}},
		"router solicitation":          {packet.ICMPv6{Type: packet.ICMPv6RouterSolicitation, Dst: allRouters, Payload: make([]byte, 4)}},
	} {
		t.Run(name, func(t *testing.T) { r.ask(t, layers...).untouched(t) })
	}
	t.Run("solicitation of another, unicast and without an option", func(t *testing.T) {
		out := r.run(t, r.fromA(), withoutOption(t, packet.ICMPv6{Type: packet.ICMPv6NeighbourSolicitation, Dst: lxcA.ipv6, Target: podB.ipv6}))
		out.untouched(t)
	})
}

// withoutOption is neighbour discovery from pod a without the link address that ends it.
func withoutOption(t testing.TB, layers ...packet.Template) []byte {
	t.Helper()
	whole, err := packet.Build(packet.Layers(layers), packet.Defaults{SrcMAC: podA.mac, DstMAC: lxcA.mac, SrcIPv6: podA.ipv6})
	require.NoError(t, err)
	short := whole.Data[:len(whole.Data)-8]
	setLength(short, v6, len(short)-l3)
	return short
}
