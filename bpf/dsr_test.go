package bpf_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness/packet"
)

func withDSR(c *bpf.Config) { c.DSR = true }

// serveDirect installs a service whose backends elsewhere answer themselves.
func (r *rig) serveDirect(t testing.TB, p bpf.Protocol, frontend netip.AddrPort, backends ...netip.AddrPort) {
	t.Helper()
	require.NoError(t, r.PutService(bpf.Service{
		Frontend: bpf.Frontend{Addr: frontend, Protocol: p}, Backends: at(backends...), External: true, DSR: true,
	}))
}

// expect makes the node take what other nodes balance to a backend of it.
func (r *rig) expect(t testing.TB, p bpf.Protocol, frontend, backend netip.AddrPort) {
	t.Helper()
	require.NoError(t, r.PutDirect(bpf.Direct{Frontend: bpf.Frontend{Addr: frontend, Protocol: p}, Backend: backend}))
}

// outer is an outer header, and the one behind it as it comes, of a family each.
func outer(way, f family, from, to machine) packet.Template {
	return packet.Layers{outerIs(way, from, to, 0, 0), innerIs(f, 0, 0)}
}

// marked is an IP header with DSCP and ECN.
func marked(f family, tos uint8) packet.Template {
	if f == v6 {
		return packet.IPv6{TrafficClass: tos}
	}
	return packet.IPv4{TOS: tos}
}

// nodePort is the frontend of a node port on whatever node.
func nodePort(f family, number uint16) netip.AddrPort {
	if f == v6 {
		return netip.AddrPortFrom(netip.IPv6Unspecified(), number)
	}
	return netip.AddrPortFrom(netip.IPv4Unspecified(), number)
}

func TestDSRSendsThePacketAsItIs(t *testing.T) {
	t.Parallel()
	r := newRig(t, withDSR)
	eachFlow(t, balanced, func(t *testing.T, f family, p bpf.Protocol) {
		require.NoError(t, r.DeleteFlows())
		r.serveDirect(t, p, node1.at(f, 30080), remote.at(f, 80))
		for _, at := range []hook{r.xdp(), r.fromNetdev()} {
			request := message(p, client.at(f, 40000), node1.at(f, 30080))
			for range 2 { // the first packet, and one of a flow that is known
				out := r.send(t, at, client, node1, marked(f, 0xb9), request)
				if at.point == bpf.AtXDP {
					out.is(t, bpf.Tx, r.nic)
				} else {
					require.Equal(t, r.nic, out.event.Target)
				}
				if out.event.Verdict != bpf.RedirectNeigh { // otherwise the kernel writes them
					out.became(t, frame(node1, node2))
				}
				out.became(t, outerIs(f, node1, remote, 63, 0xb9), innerIs(f, 63, 0xb9), request)
				if ip, ok := out.IPv4(); ok {
					require.True(t, ip.DF, "the outer packet must not be fragmented")
				} else if ip, ok := out.IPv6(); ok {
					require.NotZero(t, ip.FlowLabel, "routers tell flows apart")
				}
			}
		}
		flows := r.checkFlows(t)
		require.Len(t, flows, 1, "no answer comes by here")
		for _, flow := range flows {
			require.True(t, flow.DSR)
			require.Equal(t, remote.at(f, 80), flow.To.Dst)
		}
	})
}

func outerIs(f family, from, to machine, ttl, tos uint8) packet.Template {
	if f == v6 {
		return packet.IPv6{Src: from.ipv6, Dst: to.ipv6, HopLimit: ttl, TrafficClass: tos}
	}
	return packet.IPv4{Src: from.ipv4, Dst: to.ipv4, TTL: ttl, TOS: tos}
}

func innerIs(f family, ttl, tos uint8) packet.Template {
	if f == v6 {
		return packet.IPv6{HopLimit: ttl, TrafficClass: tos}
	}
	return packet.IPv4{TTL: ttl, TOS: tos}
}

// TestDSRToAnotherFamily has an IPv4 service on servers that are reached by IPv6, and the other way round.
func TestDSRToAnotherFamily(t *testing.T) {
	t.Parallel()
	r := newRig(t, withDSR)
	for f, other := range map[family]family{v4: v6, v6: v4} {
		r.serveDirect(t, bpf.UDP, node1.at(f, 30080), remote.at(other, 80))
		for _, at := range []hook{r.xdp(), r.fromNetdev()} {
			request := message(bpf.UDP, client.at(f, 40000), node1.at(f, 30080))
			r.send(t, at, client, node1, request).became(t, outerIs(other, node1, remote, 63, 0), innerIs(f, 63, 0), request)
		}
	}
}

// TestDSRKeepsItsBackend changes the service under a running flow. Flows of UDP must not stay with a backend that is gone.
func TestDSRKeepsItsBackend(t *testing.T) {
	t.Parallel()
	r := newRig(t, withDSR)
	eachFlow(t, balanced, func(t *testing.T, f family, p bpf.Protocol) {
		require.NoError(t, r.DeleteFlows())
		request := message(p, client.at(f, 40000), node1.at(f, 30080))
		r.serveDirect(t, p, node1.at(f, 30080), remote.at(f, 80))
		r.send(t, r.xdp(), client, node1, request).became(t, outerIs(f, node1, remote, 63, 0))
		r.serveDirect(t, p, node1.at(f, 30080), remote2.at(f, 80))
		if p == bpf.UDP {
			r.send(t, r.xdp(), client, node1, request).became(t, outerIs(f, node1, remote2, 63, 0))
			return
		}
		r.send(t, r.xdp(), client, node1, request).became(t, outerIs(f, node1, remote, 63, 0))
		for tuple := range r.checkFlows(t) {
			require.NoError(t, r.AgeFlow(tuple))
		}
		r.send(t, r.xdp(), client, node1, request).became(t, outerIs(f, node1, remote, 63, 0))
		require.Len(t, r.checkFlows(t), 1)

		// A new connection is free to choose.
		fin := packet.TCP{Src: client.at(f, 40000), Dst: node1.at(f, 30080), Flags: packet.FIN | packet.ACK}
		syn := packet.TCP{Src: client.at(f, 40000), Dst: node1.at(f, 30080), Flags: packet.SYN}
		r.send(t, r.xdp(), client, node1, fin).became(t, outerIs(f, node1, remote, 63, 0))
		r.send(t, r.xdp(), client, node1, syn).became(t, outerIs(f, node1, remote2, 63, 0))
	})
}

// TestDSRIsForBackendsElsewhere has one on the node itself, and packets from its own pod: all goes as without.
func TestDSRIsForBackendsElsewhere(t *testing.T) {
	t.Parallel()
	r := newRig(t, withDSR)
	eachFlow(t, balanced, func(t *testing.T, f family, p bpf.Protocol) {
		r.serveDirect(t, p, node1.at(f, 30080), podA.at(f, 80))
		out := r.send(t, r.xdp(), client, node1, message(p, client.at(f, 40000), node1.at(f, 30080)))
		require.True(t, out.handed)
		out.became(t, message(p, client.at(f, 40000), podA.at(f, 80)))
		r.serveDirect(t, p, node1.at(f, 30081), remote.at(f, 80))
		out = r.send(t, r.fromA(), podA, lxcA, message(p, podA.at(f, 40000), node1.at(f, 30081)))
		out.became(t, message(p, podA.at(f, 40000), remote.at(f, 80)))
	})
}

// TestDSRServesTheBackend has node 2 send to pod a what clients addressed to it: the pod sees the client, and answers with
// the address that the client knows, to the client and not to node 2.
func TestDSRServesTheBackend(t *testing.T) {
	t.Parallel()
	r := newRig(t, withDSR)
	vip := host("203.0.113.1", "2001:db8:203:113::1", "02:02:00:00:00:fe")
	eachFlow(t, balanced, func(t *testing.T, f family, p bpf.Protocol) {
		r.expect(t, p, nodePort(f, 30080), podA.at(f, 80))
		r.expect(t, p, vip.at(f, 443), podA.at(f, 8443))
		for _, frontend := range []struct{ addr, backend netip.AddrPort }{
			{node2.at(f, 30080), podA.at(f, 80)}, {vip.at(f, 443), podA.at(f, 8443)},
		} {
			for _, at := range []hook{r.xdp(), r.fromNetdev()} {
				require.NoError(t, r.DeleteFlows())
				for i := range 3 {
					out := r.send(t, at, node2, node1, outerIs(f, node2, podA, 0, 0), hops(f, 60), message(p, client.at(f, 40000), frontend.addr))
					if at.point == bpf.AtXDP {
						require.True(t, out.handed, "%s: %s", out.event, out.Packet)
						out = r.pass(t, r.fromNetdev(), out)
					}
					out.is(t, bpf.RedirectPeer, r.lxcA)
					out.became(t, frame(lxcA, podA), hops(f, 59), message(p, client.at(f, 40000), frontend.backend))

					out = r.send(t, r.fromA(), podA, lxcA, message(p, frontend.backend, client.at(f, 40000)))
					require.Equal(t, r.nic, out.event.Target)
					if out.event.Verdict == bpf.Redirect { // its next hop is remembered; otherwise the kernel writes the frame
						out.became(t, frame(node1, client))
					}
					out.became(t, message(p, frontend.addr, client.at(f, 40000)))
					if i == 1 { // a second of packets later the sender is looked at again
						for tuple := range r.checkFlows(t) {
							require.NoError(t, r.AgeFlow(tuple))
						}
					}
				}
			}
		}
	})
}

// TestDSRFollowsTheBalancingNode has the balancing node choose another backend for the same tuple: its word counts.
func TestDSRFollowsTheBalancingNode(t *testing.T) {
	t.Parallel()
	r := newRig(t, withDSR)
	eachFlow(t, balanced, func(t *testing.T, f family, p bpf.Protocol) {
		r.expect(t, p, nodePort(f, 30080), podA.at(f, 80))
		r.expect(t, p, nodePort(f, 30080), podB.at(f, 81))
		request := message(p, client.at(f, 40000), node2.at(f, 30080))
		for _, at := range []hook{r.xdp(), r.fromNetdev()} {
			r.send(t, at, node2, node1, outer(f, f, node2, podA), request).became(t, message(p, client.at(f, 40000), podA.at(f, 80)))
			r.send(t, at, node2, node1, outer(f, f, node2, podB), request).became(t, message(p, client.at(f, 40000), podB.at(f, 81)))
			require.Len(t, r.checkFlows(t), 2, "nothing is left of the flow to the other backend")
			require.NoError(t, r.DeleteFlows())
		}
		// This node has balanced the same flow itself, when the world still sent it here.
		r.serveDirect(t, p, node2.at(f, 30080), remote.at(f, 80))
		r.send(t, r.xdp(), client, node1, request).became(t, outer(f, f, node1, remote))
		r.send(t, r.xdp(), node2, node1, outer(f, f, node2, podA), request).became(t, message(p, client.at(f, 40000), podA.at(f, 80)))
		require.Len(t, r.checkFlows(t), 2)
		require.NoError(t, r.DeleteService(bpf.Frontend{Addr: node2.at(f, 30080), Protocol: p}))
		require.NoError(t, r.DeleteFlows())
	})
}

// TestDSRGivesTheStackItsOwn is a server behind a balancer: the frontend's address is its own.
func TestDSRGivesTheStackItsOwn(t *testing.T) {
	t.Parallel()
	r := newRig(t, withDSR)
	vip := host("203.0.113.1", "2001:db8:203:113::1", "02:02:00:00:00:fe")
	for _, f := range families {
		require.NoError(t, r.PutOwn(vip.addr(f)))
		for _, way := range families {
			for _, at := range []hook{r.xdp(), r.fromNetdev()} {
				for name, inner := range map[string][]packet.Template{
					"TCP":        {hops(f, 0), message(bpf.TCP, client.at(f, 40000), vip.at(f, 80))},
					"UDP":        {hops(f, 0), message(bpf.UDP, client.at(f, 40000), vip.at(f, 9))},
					"echo":       {hops(f, 0), message(bpf.ICMP, client.at(f, 7), vip.at(f, 0))},
					"last hop":   {hops(f, 1), message(bpf.TCP, client.at(f, 40000), vip.at(f, 80))},
					"ICMP error": {hops(f, 0), icmpErrorTo(f, vip)},
				} {
					t.Run(fmt.Sprintf("%s/%s by %s at %s", f, name, way, at.point), func(t *testing.T) {
						out := r.send(t, at, node2, node1, append([]packet.Template{outerIs(way, node2, node1, 0, 0)}, inner...)...)
						out.is(t, bpf.Pass, 0)
						require.False(t, out.handed)
						out.became(t, append([]packet.Template{frame(node2, node1)}, inner...)...)
						require.Empty(t, r.checkFlows(t))
					})
				}
			}
		}
		for _, first := range []bool{true, false} {
			for _, at := range []hook{r.xdp(), r.fromNetdev()} {
				fragment := fragmentOf(f, first, client, vip, 80)
				out := r.fragment(t, at, node2, node1, append([]packet.Template{outerIs(f, node2, node1, 0, 0)}, fragment...))
				out.is(t, bpf.Pass, 0)
				out.became(t, append([]packet.Template{frame(node2, node1)}, fragment[0])...)
			}
		}
		require.NoError(t, r.DeleteOwn(vip.addr(f)))
		r.send(t, r.fromNetdev(), node2, node1, outer(f, f, node2, node1), message(bpf.UDP, client.at(f, 40000), vip.at(f, 9))).
			dropped(t, bpf.TunnelService)
	}
}

// TestDSRRelaysErrors has a router tell node 1 of an answer that never passed it: the error goes to the backend as it came,
// whether this node knows the flow or another has balanced it, and opens none.
func TestDSRRelaysErrors(t *testing.T) {
	t.Parallel()
	r := newRig(t, withDSR)
	for _, f := range families {
		r.serveDirect(t, bpf.UDP, node1.at(f, 80), remote.at(f, 8080))
		for _, at := range []hook{r.xdp(), r.fromNetdev()} {
			for _, known := range []int{0, 1} {
				if known == 1 {
					r.send(t, at, client, node1, message(bpf.UDP, client.at(f, 40000), node1.at(f, 80)))
				}
				out := r.send(t, at, gateway, node1, icmpErrorTo(f, node1))
				out.became(t, outerIs(f, node1, remote, 63, 0), innerIs(f, 63, 0), icmpErrorTo(f, node1))
				require.Len(t, r.checkFlows(t), known)
				require.NoError(t, r.DeleteFlows())
			}
		}
		// To a backend of this node, and about what nobody serves: nothing that is known here.
		r.serveDirect(t, bpf.UDP, node1.at(f, 80), podA.at(f, 8080))
		r.send(t, r.xdp(), gateway, node1, icmpErrorTo(f, node1)).untouched(t)
		require.NoError(t, r.DeleteService(bpf.Frontend{Addr: node1.at(f, 80), Protocol: bpf.UDP}))
		r.send(t, r.xdp(), gateway, node1, icmpErrorTo(f, node1)).untouched(t)
		require.Empty(t, r.checkFlows(t))
	}
}

// TestDSRDeliversErrors is the other end: the backend hears of the packet as it sent it.
func TestDSRDeliversErrors(t *testing.T) {
	t.Parallel()
	r := newRig(t, withDSR)
	for _, f := range families {
		r.expect(t, bpf.UDP, nodePort(f, 80), podA.at(f, 8080))
		relayed := []packet.Template{outer(f, f, node2, podA), icmpErrorTo(f, node2)}
		r.send(t, r.fromNetdev(), node2, node1, relayed...).dropped(t, bpf.TunnelService) // of no flow
		r.send(t, r.fromNetdev(), node2, node1, outer(f, f, node2, podA), message(bpf.UDP, client.at(f, 40000), node2.at(f, 80)))
		r.send(t, r.xdp(), node2, node1, relayed...).untouched(t)
		about := packet.UDP{Src: podA.at(f, 8080), Dst: client.at(f, 40000)}
		out := r.send(t, r.fromNetdev(), node2, node1, relayed...)
		out.is(t, bpf.RedirectPeer, r.lxcA)
		if f == v6 {
			out.became(t, packet.ICMPv6{Src: gateway.ipv6, Dst: podA.ipv6, Type: packet.ICMPv6PacketTooBig, Embedded: about})
		} else {
			out.became(t, packet.ICMP{Src: gateway.ipv4, Dst: podA.ipv4, Type: packet.ICMPDestinationUnreachable, Code: 4, Embedded: about})
		}
	}
}

// icmpErrorTo is an ICMP error about a packet that a machine sent to the client.
func icmpErrorTo(f family, to machine) packet.Template {
	about := packet.UDP{Src: to.at(f, 80), Dst: client.at(f, 40000)}
	if f == v6 {
		return packet.ICMPv6{Src: gateway.ipv6, Dst: to.ipv6, Type: packet.ICMPv6PacketTooBig, Embedded: about}
	}
	return packet.ICMP{Src: gateway.ipv4, Dst: to.ipv4, Type: packet.ICMPDestinationUnreachable, Code: 4, Embedded: about}
}

// TestDSRCopiesCongestion is figure 4 of RFC 6040: what the ECN field becomes at the end of the tunnel. DSCP stays as it was.
func TestDSRCopiesCongestion(t *testing.T) {
	t.Parallel()
	const notECT, ect1, ect0, ce, dropped = 0, 1, 2, 3, 0xff
	r := newRig(t, withDSR)
	for _, f := range families {
		r.expect(t, bpf.UDP, nodePort(f, 30080), podA.at(f, 80))
		for inner, becomes := range map[uint8][4]uint8{ // by the outer field, in the order of their numbers
			notECT: {notECT, notECT, notECT, dropped},
			ect0:   {ect0, ect1, ect0, ce},
			ect1:   {ect1, ect1, ect1, ce},
			ce:     {ce, ce, ce, ce},
		} {
			for ecn, want := range becomes {
				for _, at := range []hook{r.xdp(), r.fromNetdev()} {
					t.Run(fmt.Sprintf("%s/%d in %d at %s", f, inner, ecn, at.point), func(t *testing.T) {
						const outside, inside = 46 << 2, 10 << 2
						request := []packet.Template{
							outerIs(f, node2, podA, 9, outside|uint8(ecn)), innerIs(f, 9, inside|inner),
							message(bpf.UDP, client.at(f, 40000), node2.at(f, 30080)),
						}
						out := r.send(t, at, node2, node1, request...)
						if want == dropped {
							out.dropped(t, bpf.TunnelECN)
							return
						}
						out.became(t, marked(f, inside|want))
					})
				}
			}
		}
	}
}
