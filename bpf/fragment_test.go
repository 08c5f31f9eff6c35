package bpf_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness/packet"
)

// TestFragments sends the first fragment of a datagram, and a later one: what addresses alone decide goes its way, what would
// need a translation is dropped, the first as well, since the others could not follow it.
func TestFragments(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, f := range families {
		r.serve(t, bpf.UDP, node1.at(f, 30080), remote.at(f, 80))
		for _, first := range []bool{true, false} {
			fragment := func(src, dst machine, dstPort uint16) []packet.Template {
				return fragmentOf(f, first, src, dst, dstPort)
			}
			t.Run(fmt.Sprintf("%s/first=%t", f, first), func(t *testing.T) {
				require.NoError(t, r.DeleteFlows())
				plain := fragment(podA, podB, 80)
				r.fragment(t, r.fromA(), podA, lxcA, plain).is(t, bpf.RedirectPeer, r.lxcB)
				r.fragment(t, r.fromA(), podA, lxcA, fragment(podA, remote, 80)).is(t, bpf.RedirectNeigh, r.nic)
				r.fragment(t, r.toNetdev(r.lxcA), node1, node2, fragment(podA, remote, 80)).untouched(t)
				r.fragment(t, r.fromNetdev(), node2, node1, fragment(remote, podA, 80)).is(t, bpf.RedirectPeer, r.lxcA)

				r.fragment(t, r.toNetdev(r.lxcA), node1, gateway, fragment(podA, world, 80)).dropped(t, bpf.Fragment)
				r.fragment(t, r.xdp(), client, node1, fragment(client, node1, 30080)).untouched(t)
				out := r.fragment(t, r.fromNetdev(), client, node1, fragment(client, node1, 30080))
				if first {
					out.dropped(t, bpf.Fragment)
				} else {
					out.untouched(t) // perhaps the node's own
				}

				// Of a flow that is known, by a datagram that was whole.
				known := r.send(t, r.xdp(), client, node1, message(bpf.UDP, client.at(f, 40000), node1.at(f, 30080)))
				reply := fragment(remote, node1, known.Src().Port())
				r.fragment(t, r.xdp(), node2, node1, reply).untouched(t)
				out = r.fragment(t, r.fromNetdev(), node2, node1, reply)
				if first {
					out.dropped(t, bpf.Fragment)
				} else {
					out.untouched(t)
				}
			})
		}
	}
}

// fragment is send for packets whose L4 checksum covers what is not in them.
func (r *rig) fragment(t testing.TB, at hook, from, to machine, layers []packet.Template) outcome {
	t.Helper()
	sent, err := packet.Build(packet.Layers(append([]packet.Template{frame(from, to)}, layers...)), packet.Defaults{})
	require.NoError(t, err)
	out := r.run(t, at, sent.Data)
	require.NoError(t, packet.VerifyChecksums(out.Packet))
	return out
}

// fragmentOf is the first fragment of a datagram, or a later one.
func fragmentOf(f family, first bool, src, dst machine, dstPort uint16) []packet.Template {
	offset, srcPort := uint16(1480), uint16(40000)
	if src.ipv4 == remote.ipv4 {
		srcPort = 80 // the backend of the tests
	}
	if first {
		offset = 0
	}
	var header []packet.Template
	if f == v6 {
		header = []packet.Template{packet.IPv6{Src: src.ipv6, Dst: dst.ipv6}, packet.IPv6Fragment{NextHeader: packet.ProtocolUDP, Offset: offset, More: first, ID: 7}}
	} else {
		header = []packet.Template{packet.IPv4{Src: src.ipv4, Dst: dst.ipv4, Protocol: packet.ProtocolUDP, FragOffset: offset, MF: first, ID: 7}}
	}
	if first {
		return append(header, packet.UDP{Src: src.at(f, srcPort), Dst: dst.at(f, dstPort), Payload: make([]byte, 64)})
	}
	return append(header, packet.Raw(make([]byte, 64)))
}
