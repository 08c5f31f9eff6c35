package bpf_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness/packet"
)

// icmpError is "port unreachable" about a datagram.
func icmpError(f family) packet.Template {
	return troubles[0].about(f, remote.addr(f), podB.addr(f), packet.UDP{Src: podB.at(f, 40000), Dst: remote.at(f, 53)})
}

// timeExceeded is what a router says of a packet whose hops ran out.
func timeExceeded(f family, from, to machine) packet.Template {
	if f == v6 {
		return packet.ICMPv6{Src: from.ipv6, Dst: to.ipv6, Type: packet.ICMPv6TimeExceeded}
	}
	return packet.ICMP{Src: from.ipv4, Dst: to.ipv4, Type: packet.ICMPTimeExceeded}
}

// tooBig is what a router says of a packet that does not fit the next wire.
func tooBig(f family, from, to machine, mtu uint16) packet.Template {
	if f == v6 {
		return packet.ICMPv6{Src: from.ipv6, Dst: to.ipv6, Type: packet.ICMPv6PacketTooBig, MTU: uint32(mtu)}
	}
	return packet.ICMP{Src: from.ipv4, Dst: to.ipv4, Type: packet.ICMPDestinationUnreachable, Code: packet.ICMPFragmentationNeeded, MTU: mtu}
}

// noHops says that the IP header before it means no hops left.
func noHops(f family) packet.Template {
	if f == v6 {
		return packet.Zero{"HopLimit"}
	}
	return packet.Zero{"TTL"}
}

// TestTTLRunsOut: who forwards a packet tells its sender, of the packet as the sender knows it.
func TestTTLRunsOut(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, f := range families {
		r.serve(t, bpf.TCP, node1.at(f, 30080), remote.at(f, 80))
		r.serve(t, bpf.TCP, node1.at(f, 30081), node1.at(f, 8080))
		r.serve(t, bpf.TCP, node1.at(f, 30082), podA.at(f, 80))
		r.serve(t, bpf.TCP, cluster.at(f, 80), podB.at(f, 80), remote.at(f, 80), node2.at(f, 80))
	}
	for _, f := range families {
		t.Run(string(f), func(t *testing.T) {
			// Untranslated: the stack tells the sender.
			r.send(t, r.fromA(), podA, lxcA, hops(f, 1), message(bpf.TCP, podA.at(f, 40000), podB.at(f, 80))).untouched(t)
			r.send(t, r.fromA(), podA, lxcA, hops(f, 1), message(bpf.TCP, podA.at(f, 40000), remote.at(f, 80))).untouched(t)
			r.send(t, r.fromNetdev(), node2, node1, hops(f, 1), message(bpf.TCP, remote.at(f, 80), podA.at(f, 40000))).untouched(t)

			// A service: XDP leaves it to TC.
			for _, port := range []uint16{30080, 30082} {
				request := message(bpf.TCP, client.at(f, 40000), node1.at(f, port))
				r.send(t, r.xdp(), client, node1, hops(f, 1), request).untouched(t)
				r.send(t, r.fromNetdev(), client, node1, hops(f, 1), request).told(t, bpf.TTLExpired, timeExceeded(f, node1, client))
				r.send(t, r.fromNetdev(), client, node1, hops(f, 0), noHops(f), request).told(t, bpf.TTLExpired, timeExceeded(f, node1, client))
			}
			for port := range uint16(8) {
				out := r.send(t, r.fromA(), podA, lxcA, hops(f, 1), message(bpf.TCP, podA.at(f, port), cluster.at(f, 80)))
				out.told(t, bpf.TTLExpired, timeExceeded(f, lxcA, podA))
			}

			// An answer: its sender knows the client by the address that SNAT gave it.
			to := r.send(t, r.xdp(), client, node1, message(bpf.TCP, client.at(f, 40000), node1.at(f, 30080))).Src()
			out := r.send(t, r.fromNetdev(), node2, node1, hops(f, 1), message(bpf.TCP, remote.at(f, 80), to))
			out.told(t, bpf.TTLExpired, timeExceeded(f, node1, remote))

			// The node's own stack is the end of the way.
			own := message(bpf.TCP, client.at(f, 40000), node1.at(f, 30081))
			r.send(t, r.fromNetdev(), client, node1, hops(f, 1), own).became(t, hops(f, 1), message(bpf.TCP, client.at(f, 40000), node1.at(f, 8080)))
		})
	}
}

func TestTooBigForTheWay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, f := range families {
		r.serve(t, bpf.UDP, node1.at(f, 30080), remote.at(f, 80))
		big := func(src, dst netip.AddrPort) packet.Template {
			return packet.UDP{Src: src, Dst: dst, Payload: make([]byte, 2001)}
		}
		request := big(client.at(f, 40000), node1.at(f, 30080))
		r.send(t, r.xdp(), client, node1, request).untouched(t)
		r.send(t, r.fromNetdev(), client, node1, request).told(t, bpf.TooBig, tooBig(f, node1, client, 1500))
		out := r.send(t, r.fromA(), podA, lxcA, big(podA.at(f, 40000), node1.at(f, 30080)))
		out.told(t, bpf.TooBig, tooBig(f, lxcA, podA, 1500))
		// The stack tells a pod, whose packet it knows.
		r.send(t, r.fromA(), podA, lxcA, big(podA.at(f, 40001), remote.at(f, 80))).untouched(t)
	}
}

// TestErrorsAreLimited, whatever is sent.
func TestErrorsAreLimited(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.serve(t, bpf.UDP, node1.at(v4, 30080), remote.at(v4, 80))
	expired := func() outcome {
		return r.send(t, r.fromNetdev(), client, node1, hops(v4, 1), message(bpf.UDP, client.at(v4, 40000), node1.at(v4, 30080)))
	}
	expired().told(t, bpf.TTLExpired, timeExceeded(v4, node1, client))
	require.NoError(t, r.SpendICMP())
	expired().dropped(t, bpf.TTLExpired)
}
