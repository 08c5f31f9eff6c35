package bpf_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness/packet"
)

// trouble is a kind of ICMP error.
type trouble struct {
	name  string
	about func(f family, from, to netip.Addr, quote packet.Template) packet.Template
}

// troubles are the kinds that concern flows.
var troubles = []trouble{
	{"port unreachable", func(f family, from, to netip.Addr, quote packet.Template) packet.Template {
		if f == v6 {
			return packet.ICMPv6{Src: from, Dst: to, Type: packet.ICMPv6DestinationUnreachable, Code: packet.ICMPv6PortUnreachable, Embedded: quote}
		}
		return packet.ICMP{Src: from, Dst: to, Type: packet.ICMPDestinationUnreachable, Code: packet.ICMPPortUnreachable, Embedded: quote}
	}},
	{"too big", func(f family, from, to netip.Addr, quote packet.Template) packet.Template {
		if f == v6 {
			return packet.ICMPv6{Src: from, Dst: to, Type: packet.ICMPv6PacketTooBig, MTU: 1400, Embedded: quote}
		}
		return packet.ICMP{Src: from, Dst: to, Type: packet.ICMPDestinationUnreachable, Code: packet.ICMPFragmentationNeeded, MTU: 1400, Embedded: quote}
	}},
	{"time exceeded", func(f family, from, to netip.Addr, quote packet.Template) packet.Template {
		if f == v6 {
			return packet.ICMPv6{Src: from, Dst: to, Type: packet.ICMPv6TimeExceeded, Embedded: quote}
		}
		return packet.ICMP{Src: from, Dst: to, Type: packet.ICMPTimeExceeded, Embedded: quote}
	}},
	{"parameter problem", func(f family, from, to netip.Addr, quote packet.Template) packet.Template {
		if f == v6 {
			return packet.ICMPv6{Src: from, Dst: to, Type: packet.ICMPv6ParameterProblem, Embedded: quote}
		}
		return packet.ICMP{Src: from, Dst: to, Type: packet.ICMPParameterProblem, Embedded: quote}
	}},
}

// quotes are how much routers quote of a packet: all of it, and as little as they may.
func quotes(o outcome) map[string]packet.Template {
	ip := o.Data[l3:]
	header := 20
	if ip[0]>>4 == 6 {
		header = 40
	}
	return map[string]packet.Template{"whole": o.Quote(), "8 bytes": packet.Raw(ip[:header+8]), "20 bytes": packet.Raw(ip[:min(len(ip), header+20)])}
}

// quoted is what of message(p, src, dst) is in every quote.
func quoted(p bpf.Protocol, src, dst netip.AddrPort) packet.Template {
	if p == bpf.TCP {
		return packet.TCP{Src: src, Dst: dst}
	}
	return message(p, src, dst)
}

// eachTrouble runs test for each family, protocol and kind of error.
func eachTrouble(t *testing.T, only []bpf.Protocol, test func(*testing.T, family, bpf.Protocol, trouble)) {
	eachFlow(t, only, func(t *testing.T, f family, p bpf.Protocol) {
		for _, kind := range troubles {
			t.Run(kind.name, func(t *testing.T) { test(t, f, p, kind) })
		}
	})
}

// error sends an ICMP error, which is without a cookie when it quotes little, and checks that its checksums are right after.
func (r *rig) error(t testing.TB, at hook, from, to machine, layers ...packet.Template) outcome {
	t.Helper()
	out := r.report(t, at, from, to, layers...)
	require.NoError(t, packet.VerifyChecksums(out.Packet), "%s", out.Packet)
	return out
}

// report is error for one whose quote has wrong checksums from the start.
func (r *rig) report(t testing.TB, at hook, from, to machine, layers ...packet.Template) outcome {
	t.Helper()
	sent, err := packet.Build(packet.Layers(append([]packet.Template{frame(from, to)}, layers...)), packet.Defaults{})
	require.NoError(t, err)
	before := r.checkFlows(t)
	out := r.run(t, at, sent.Data)
	require.Equal(t, before, r.checkFlows(t), "an error changes no flow")
	return out
}

// TestErrorAboutNodePort has a request to a NodePort, and its answer, meet with trouble on their ways.
func TestErrorAboutNodePort(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	router := host("172.16.0.77", "fd00:172:16::77", "02:02:00:00:00:77")
	for _, hook := range []struct {
		hook
		way packet.Template // Ethernet towards the backend; from TC it may be the kernel's to write
	}{{r.xdp(), frame(node1, node2)}, {r.fromNetdev(), packet.Ethernet{}}} {
		t.Run(hook.point.String(), func(t *testing.T) {
			eachTrouble(t, balanced, func(t *testing.T, f family, p bpf.Protocol, kind trouble) {
				require.NoError(t, r.DeleteFlows())
				r.serve(t, p, node1.at(f, 30080), remote.at(f, 80))
				asked := r.send(t, hook.hook, client, node1, message(p, client.at(f, 40000), node1.at(f, 30080)))
				answered := r.send(t, hook.hook, node2, node1, message(p, remote.at(f, 80), asked.Src()))

				for size, quote := range quotes(asked) {
					t.Run("request/"+size, func(t *testing.T) {
						// The backend says so itself, of whom the client knows nothing; or a router, who has no other name.
						for from, appears := range map[netip.Addr]netip.Addr{remote.addr(f): node1.addr(f), router.addr(f): router.addr(f)} {
							out := r.error(t, hook.hook, node2, node1, hops(f, 61), kind.about(f, from, node1.addr(f), quote))
							require.Equal(t, r.nic, out.event.Target, "%s", out.event)
							out.became(t, frame(node1, client), hops(f, 60), kind.about(f, appears, client.addr(f), quoted(p, client.at(f, 40000), node1.at(f, 30080))))
						}
					})
				}
				for size, quote := range quotes(answered) {
					t.Run("answer/"+size, func(t *testing.T) {
						for from, appears := range map[netip.Addr]netip.Addr{client.addr(f): node1.addr(f), router.addr(f): router.addr(f)} {
							out := r.error(t, hook.hook, client, node1, hops(f, 61), kind.about(f, from, node1.addr(f), quote))
							require.Equal(t, r.nic, out.event.Target, "%s", out.event)
							out.became(t, hook.way, hops(f, 60), kind.about(f, appears, remote.addr(f), quoted(p, remote.at(f, 80), asked.Src())))
						}
					})
				}
			})
		})
	}
}

// TestErrorAboutMasqueraded has a pod's request to the world, and the answer, meet with trouble.
func TestErrorAboutMasqueraded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	eachTrouble(t, protocols, func(t *testing.T, f family, p bpf.Protocol, kind trouble) {
		require.NoError(t, r.DeleteFlows())
		request := message(p, podA.at(f, 40000), world.at(f, port(p, 80)))
		asked := r.send(t, r.toNetdev(r.lxcA), node1, gateway, request)
		answer := quoted(p, world.at(f, port(p, 80)), podA.at(f, 40000))
		answered := r.send(t, r.xdp(), gateway, node1, message(p, world.at(f, port(p, 80)), node1.at(f, echoID(t, asked))))

		for size, quote := range quotes(asked) {
			t.Run("request/"+size, func(t *testing.T) {
				for _, from := range []machine{gateway, world} {
					sent := kind.about(f, from.addr(f), node1.addr(f), quote)
					told := kind.about(f, from.addr(f), podA.addr(f), quoted(p, podA.at(f, 40000), world.at(f, port(p, 80))))
					out := r.error(t, r.xdp(), gateway, node1, hops(f, 61), sent)
					out.is(t, bpf.Pass, 0)
					require.True(t, out.handed)
					out.became(t, hops(f, 61), told)
					out = r.error(t, r.fromNetdev(), gateway, node1, hops(f, 61), sent)
					out.is(t, bpf.RedirectPeer, r.lxcA)
					out.became(t, frame(lxcA, podA), hops(f, 60), told)
				}
			})
		}
		for size, quote := range quotes(answered) {
			t.Run("answer/"+size, func(t *testing.T) {
				out := r.error(t, r.fromA(), podA, lxcA, kind.about(f, podA.addr(f), world.addr(f), quote))
				out.is(t, bpf.RedirectNeigh, r.nic)
				out.became(t, hops(f, 63), kind.about(f, podA.addr(f), world.addr(f), answer))
				out = r.pass(t, r.toNetdev(r.lxcA), asPassed(out))
				out.is(t, bpf.Pass, 0)
				out.became(t, hops(f, 63), kind.about(f, node1.addr(f), world.addr(f), quoted(p, world.at(f, port(p, 80)), node1.at(f, echoID(t, asked)))))
			})
		}
	})
}

// TestErrorAboutServiceFromPod has a pod's request to a service meet with trouble where its backend is: another pod of the
// node, or the node itself.
func TestErrorAboutServiceFromPod(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	eachTrouble(t, balanced, func(t *testing.T, f family, p bpf.Protocol, kind trouble) {
		request := message(p, podA.at(f, 40000), cluster.at(f, 80))
		t.Run("pod", func(t *testing.T) {
			require.NoError(t, r.DeleteFlows())
			r.serve(t, p, cluster.at(f, 80), podB.at(f, 8080))
			asked := r.send(t, r.fromA(), podA, lxcA, request)
			for size, quote := range quotes(asked) {
				t.Run(size, func(t *testing.T) {
					out := r.error(t, r.fromB(), podB, lxcB, kind.about(f, podB.addr(f), podA.addr(f), quote))
					out.is(t, bpf.RedirectPeer, r.lxcA)
					out.became(t, frame(lxcA, podA), hops(f, 63), kind.about(f, cluster.addr(f), podA.addr(f), quoted(p, podA.at(f, 40000), cluster.at(f, 80))))
				})
			}
		})
		t.Run("node", func(t *testing.T) {
			require.NoError(t, r.DeleteFlows())
			r.serve(t, p, cluster.at(f, 80), node1.at(f, 8080))
			asked := r.send(t, r.fromA(), podA, lxcA, request)
			for size, quote := range quotes(asked) {
				t.Run(size, func(t *testing.T) {
					out := r.error(t, r.toA(0), lxcA, podA, kind.about(f, node1.addr(f), podA.addr(f), quote))
					out.is(t, bpf.Pass, 0)
					out.became(t, hops(f, 64), kind.about(f, cluster.addr(f), podA.addr(f), quoted(p, podA.at(f, 40000), cluster.at(f, 80))))
				})
			}
		})
		t.Run("node, for the world", func(t *testing.T) {
			require.NoError(t, r.DeleteFlows())
			r.serve(t, p, node1.at(f, 30081), node1.at(f, 8080))
			request := message(p, client.at(f, 40000), node1.at(f, 30081))
			asked := r.send(t, r.xdp(), client, node1, request)
			for size, quote := range quotes(asked) {
				t.Run(size, func(t *testing.T) {
					out := r.error(t, r.toNetdev(0), node1, client, kind.about(f, node1.addr(f), client.addr(f), quote))
					out.is(t, bpf.Pass, 0)
					out.became(t, kind.about(f, node1.addr(f), client.addr(f), quoted(p, client.at(f, 40000), node1.at(f, 30081))))
				})
			}
		})
	})
}

// TestErrorAboutUntranslated: an error about a flow that nobody translates goes its way as the flow's packets do.
func TestErrorAboutUntranslated(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	eachTrouble(t, protocols, func(t *testing.T, f family, p bpf.Protocol, kind trouble) {
		require.NoError(t, r.DeleteFlows())
		about := func(from, to machine) packet.Template {
			return kind.about(f, from.addr(f), to.addr(f), message(p, to.at(f, 40000), from.at(f, port(p, 80))))
		}
		r.error(t, r.fromA(), podA, lxcA, about(podA, podB)).is(t, bpf.RedirectPeer, r.lxcB)
		r.error(t, r.fromA(), podA, lxcA, about(podA, remote)).is(t, bpf.RedirectNeigh, r.nic)
		r.error(t, r.fromA(), podA, lxcA, about(podA, node1)).untouched(t)
		r.error(t, r.toNetdev(r.lxcA), node1, node2, about(podA, remote)).untouched(t)
		r.error(t, r.toNetdev(r.lxcA), node1, gateway, about(podA, world)).untouched(t)
		r.error(t, r.xdp(), node2, node1, about(remote, podA)).untouched(t)
		r.error(t, r.fromNetdev(), node2, node1, about(remote, podA)).is(t, bpf.RedirectPeer, r.lxcA)
		r.error(t, r.fromNetdev(), gateway, node1, about(world, node1)).untouched(t)
		require.Empty(t, r.checkFlows(t))
	})
}

// TestErrorAboutNothing has errors that quote what cannot be, or what was never sent: they open no flow, and tell nobody.
func TestErrorAboutNothing(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, tinyMaps)
	for _, f := range families {
		for _, p := range balanced {
			r.serve(t, p, node1.at(f, 30080), remote.at(f, 80))
		}
		known := r.send(t, r.xdp(), client, node1, message(bpf.TCP, client.at(f, 40000), node1.at(f, 30080)))
		ip := []byte(known.Data[l3:])
		header := map[family]int{v4: 20, v6: 40}[f]
		patched := func(at int, with ...byte) packet.Template {
			quote := append([]byte(nil), ip...)
			copy(quote[at:], with)
			return packet.Raw(quote)
		}
		more := map[string]packet.Template{
			"no quote":              packet.Raw{},
			"half an IP header":     packet.Raw(ip[:header/2]),
			"an IP header alone":    packet.Raw(ip[:header]),
			"7 bytes of L4":         packet.Raw(ip[:header+7]),
			"the other version":     patched(0, map[family]byte{v4: 0x65, v6: 0x40}[f]),
			"another port":          patched(header, 1, 2),
			"an unknown protocol":   patched(map[family]int{v4: 9, v6: 6}[f], 132),
			"the wrong ICMP":        patched(map[family]int{v4: 9, v6: 6}[f], map[family]byte{v4: 58, v6: 1}[f]),
			"to a service directly": message(bpf.TCP, node1.at(f, 30080), client.at(f, 41000)),
			"from another sender":   message(bpf.TCP, node2.at(f, 30080), remote.at(f, 80)),
			"an error":              troubles[0].about(f, node1.addr(f), remote.addr(f), message(bpf.UDP, remote.at(f, 1), node1.at(f, 2))),
		}
		if f == v4 {
			more["a later fragment"] = patched(6, 0, 1)
			more["IHL 4"] = patched(0, 0x44)
			more["IHL beyond the packet"] = patched(0, 0x4f)
		} else {
			more["a later fragment"] = packet.Layers{packet.IPv6{Src: node1.ipv6, Dst: remote.ipv6},
				packet.IPv6Fragment{NextHeader: packet.ProtocolTCP, Offset: 1480, ID: 7}, packet.Raw(ip[header:])}
			more["an extension and nothing"] = patched(6, 0, 64, 6, 200)
		}
		r.still(t)
		for name, quote := range more {
			t.Run(fmt.Sprintf("%s/%s", f, name), func(t *testing.T) {
				for _, at := range []hook{r.xdp(), r.fromNetdev()} {
					r.report(t, at, node2, node1, troubles[0].about(f, remote.addr(f), node1.addr(f), quote)).untouched(t)
				}
				r.unchanged(t)
			})
		}
		t.Run(string(f)+"/a known flow, told to another than its sender", func(t *testing.T) {
			r.serve(t, bpf.UDP, node1.at(f, 30082), podA.at(f, 80))
			local := r.send(t, r.fromNetdev(), client, node1, message(bpf.UDP, client.at(f, 40000), node1.at(f, 30082)))
			r.still(t)
			for _, at := range []hook{r.xdp(), r.fromNetdev()} {
				r.error(t, at, node2, node1, troubles[0].about(f, remote.addr(f), node1.addr(f), local.Quote())).untouched(t)
			}
			r.unchanged(t)
		})
		t.Run(string(f)+"/a redirect", func(t *testing.T) {
			redirect := packet.Template(packet.ICMP{Src: gateway.ipv4, Dst: node1.ipv4, Type: packet.ICMPRedirect, Code: 1, Embedded: known.Quote()})
			if f == v6 {
				redirect = packet.ICMPv6{Src: gateway.ipv6, Dst: node1.ipv6, Type: 137, Payload: ip}
			}
			r.error(t, r.xdp(), gateway, node1, redirect).untouched(t)
			r.unchanged(t)
		})
		t.Run(string(f)+"/from a pod that is not the one", func(t *testing.T) {
			// Pod a speaks of a packet to pod b; and of one to itself, under the name of pod b.
			about := troubles[0].about(f, podA.addr(f), remote.addr(f), message(bpf.TCP, remote.at(f, 1), podB.at(f, 2)))
			r.error(t, r.fromA(), podA, lxcA, about).dropped(t, bpf.InvalidSource)
			about = troubles[0].about(f, podB.addr(f), remote.addr(f), message(bpf.TCP, remote.at(f, 1), podA.at(f, 2)))
			r.error(t, r.fromA(), podA, lxcA, about).dropped(t, bpf.InvalidSource)
			r.unchanged(t)
		})
		t.Run(string(f)+"/without a hop left", func(t *testing.T) {
			about := troubles[0].about(f, remote.addr(f), node1.addr(f), known.Quote())
			r.error(t, r.xdp(), node2, node1, hops(f, 1), about).untouched(t)
			r.error(t, r.fromNetdev(), node2, node1, hops(f, 1), about).dropped(t, bpf.TTLExpired)
		})
	}
}

// TestErrorAboutUDPWithoutChecksum leaves the quoted datagram without one.
func TestErrorAboutUDPWithoutChecksum(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.serve(t, bpf.UDP, node1.at(v4, 30080), remote.at(v4, 80))
	without := packet.Zero{"Checksum"}
	asked := r.send(t, r.xdp(), client, node1, packet.UDP{Src: client.at(v4, 40000), Dst: node1.at(v4, 30080)}, without)
	for _, kind := range troubles {
		t.Run(kind.name, func(t *testing.T) {
			out := r.error(t, r.xdp(), node2, node1, kind.about(v4, remote.ipv4, node1.ipv4, asked.Quote()))
			out.became(t, kind.about(v4, node1.ipv4, client.ipv4, packet.Layers{packet.UDP{Src: client.at(v4, 40000), Dst: node1.at(v4, 30080)}, without}))
		})
	}
}

// TestErrorAboutExtensions quotes a request that has an extension header before its ports.
func TestErrorAboutExtensions(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.serve(t, bpf.UDP, node1.at(v6, 30080), remote.at(v6, 80))
	asked := r.send(t, r.xdp(), client, node1, packet.IPv6Extension{}, packet.UDP{Src: client.at(v6, 40000), Dst: node1.at(v6, 30080)})
	for _, kind := range troubles {
		t.Run(kind.name, func(t *testing.T) {
			out := r.error(t, r.xdp(), node2, node1, kind.about(v6, remote.ipv6, node1.ipv6, asked.Quote()))
			out.became(t, kind.about(v6, node1.ipv6, client.ipv6, packet.UDP{Src: client.at(v6, 40000), Dst: node1.at(v6, 30080)}))
		})
	}
}
