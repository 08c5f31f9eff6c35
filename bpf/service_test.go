package bpf_test

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness/packet"
)

var balanced = []bpf.Protocol{bpf.TCP, bpf.UDP}

// cluster is the address of a service that only pods reach.
var cluster = host("10.96.0.10", "fd00:10:96::10", "")

func TestNodePortToRemoteBackend(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	// The client is one whose MAC the kernel does not know: the reply goes where the request came from.
	stranger := silent
	for _, hook := range []struct {
		hook
		out, back bpf.Verdict
		way       packet.Template // Ethernet of the packet to the backend; after redirect_neigh it is the kernel's to write
	}{
		{r.xdp(), bpf.Tx, bpf.Tx, frame(node1, node2)},
		{r.fromNetdev(), bpf.RedirectNeigh, bpf.Redirect, packet.Ethernet{}},
	} {
		t.Run(hook.point.String(), func(t *testing.T) {
			eachFlow(t, balanced, func(t *testing.T, f family, p bpf.Protocol) {
				require.NoError(t, r.DeleteFlows())
				r.serve(t, p, node1.at(f, 30080), remote.at(f, 80))

				request := message(p, stranger.at(f, 40000), node1.at(f, 30080))
				out := r.send(t, hook.hook, stranger, node1, request)
				out.is(t, hook.out, r.nic)
				out.became(t, hook.way, hops(f, 63), message(p, node1.at(f, out.snatted(t, f)), remote.at(f, 80)))
				again := r.send(t, hook.hook, stranger, node1, request)
				require.Equal(t, out.Src(), again.Src(), "a flow keeps its port")

				out = r.send(t, hook.hook, node2, node1, hops(f, 61), message(p, remote.at(f, 80), out.Src()))
				out.is(t, hook.back, r.nic)
				out.became(t, frame(node1, stranger), hops(f, 60), message(p, node1.at(f, 30080), stranger.at(f, 40000)))

				flows := r.checkFlows(t)
				require.Len(t, flows, 2)
				require.Equal(t, stranger.mac, flows[bpf.Tuple{Src: remote.at(f, 80), Dst: again.Src(), Protocol: p}].NextHop)
			})
		})
	}
}

func TestNodePortToLocalBackend(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	eachFlow(t, balanced, func(t *testing.T, f family, p bpf.Protocol) {
		r.serve(t, p, node1.at(f, 30080), podA.at(f, 8080))
		request := message(p, client.at(f, 40000), node1.at(f, 30080))
		translated := message(p, client.at(f, 40000), podA.at(f, 8080)) // with the client's address

		t.Run("XDP, then TC", func(t *testing.T) {
			require.NoError(t, r.DeleteFlows())
			out := r.send(t, r.xdp(), client, node1, request)
			out.is(t, bpf.Pass, 0)
			require.True(t, out.handed)
			out.became(t, frame(client, node1), hops(f, 64), translated)

			// BPF_PROG_RUN cannot hand XDP's mark to TC, so this is TC not knowing: it must not take the flow for a new one.
			out = r.pass(t, r.fromNetdev(), out)
			out.is(t, bpf.RedirectPeer, r.lxcA)
			out.became(t, frame(lxcA, podA), hops(f, 63), translated)
			require.Len(t, r.checkFlows(t), 2)
		})
		t.Run("TC", func(t *testing.T) {
			require.NoError(t, r.DeleteFlows())
			out := r.send(t, r.fromNetdev(), client, node1, request)
			out.is(t, bpf.RedirectPeer, r.lxcA)
			out.became(t, frame(lxcA, podA), hops(f, 63), translated)
		})
		t.Run("reply", func(t *testing.T) {
			reply := message(p, node1.at(f, 30080), client.at(f, 40000))
			out := r.send(t, r.fromA(), podA, lxcA, message(p, podA.at(f, 8080), client.at(f, 40000)))
			out.is(t, bpf.Redirect, r.nic)
			out.became(t, frame(node1, client), hops(f, 63), reply)
			r.pass(t, r.toNetdev(r.lxcA), asPassed(out)).untouched(t)
		})
	})
}

// asPassed is a redirected packet, for the program at the end of the way.
func asPassed(o outcome) outcome {
	o.event.Verdict = bpf.Pass
	return o
}

// TestServiceFromPod sends from pod a to a ClusterIP, and to a NodePort of its own node, with backends of every kind.
func TestServiceFromPod(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, frontend := range []struct {
		name string
		machine
	}{{"ClusterIP", cluster}, {"NodePort", node1}} {
		eachFlow(t, balanced, func(t *testing.T, f family, p bpf.Protocol) {
			service := frontend.at(f, 30080)
			request := message(p, podA.at(f, 40000), service)
			answer := message(p, service, podA.at(f, 40000))
			serve := func(t *testing.T, backend machine) {
				require.NoError(t, r.DeleteFlows())
				r.serve(t, p, service, backend.at(f, 8080))
			}

			t.Run(frontend.name+" to another pod of the node", func(t *testing.T) {
				serve(t, podB)
				out := r.send(t, r.fromA(), podA, lxcA, request)
				out.is(t, bpf.RedirectPeer, r.lxcB)
				out.became(t, frame(lxcB, podB), hops(f, 63), message(p, podA.at(f, 40000), podB.at(f, 8080)))

				out = r.send(t, r.fromB(), podB, lxcB, message(p, podB.at(f, 8080), podA.at(f, 40000)))
				out.is(t, bpf.RedirectPeer, r.lxcA)
				out.became(t, frame(lxcA, podA), hops(f, 63), answer)
			})
			t.Run(frontend.name+" to a pod of another node", func(t *testing.T) {
				serve(t, remote)
				out := r.send(t, r.fromA(), podA, lxcA, request)
				out.is(t, bpf.RedirectNeigh, r.nic)
				translated := message(p, podA.at(f, 40000), remote.at(f, 8080))
				out.became(t, hops(f, 63), translated)
				r.pass(t, r.toNetdev(r.lxcA), asPassed(out)).untouched(t)

				reply := message(p, remote.at(f, 8080), podA.at(f, 40000))
				out = r.send(t, r.xdp(), node2, node1, reply)
				out.is(t, bpf.Pass, 0)
				require.True(t, out.handed)
				out.became(t, hops(f, 64), answer)

				out = r.send(t, r.fromNetdev(), node2, node1, reply)
				out.is(t, bpf.RedirectPeer, r.lxcA)
				out.became(t, frame(lxcA, podA), hops(f, 63), answer)
			})
			t.Run(frontend.name+" to the pod itself", func(t *testing.T) {
				serve(t, podA)
				out := r.send(t, r.fromA(), podA, lxcA, request)
				out.is(t, bpf.RedirectPeer, r.lxcA)
				out.became(t, frame(lxcA, podA), message(p, node1.at(f, out.snatted(t, f)), podA.at(f, 8080)))

				out = r.send(t, r.fromA(), podA, lxcA, message(p, podA.at(f, 8080), out.Src()))
				out.is(t, bpf.RedirectPeer, r.lxcA)
				out.became(t, frame(lxcA, podA), answer)
			})
			t.Run(frontend.name+" to the node", func(t *testing.T) {
				serve(t, node1)
				out := r.send(t, r.fromA(), podA, lxcA, request)
				out.is(t, bpf.Pass, 0)
				out.became(t, hops(f, 64), message(p, podA.at(f, 40000), node1.at(f, 8080)))

				reply := message(p, node1.at(f, 8080), podA.at(f, 40000))
				out = r.send(t, r.toA(0), lxcA, podA, reply)
				out.is(t, bpf.Pass, 0)
				out.became(t, hops(f, 64), answer)
				r.send(t, r.toA(r.nic), lxcA, podA, reply).untouched(t) // not made by the stack, so not its answer
			})
			t.Run(frontend.name+" to the world", func(t *testing.T) {
				serve(t, world)
				out := r.send(t, r.fromA(), podA, lxcA, request)
				out.is(t, bpf.RedirectNeigh, r.nic)
				out.became(t, hops(f, 63), message(p, node1.at(f, out.snatted(t, f)), world.at(f, 8080)))
				r.pass(t, r.toNetdev(r.lxcA), asPassed(out)).untouched(t)

				out = r.send(t, r.fromNetdev(), world, node1, message(p, world.at(f, 8080), out.Src()))
				out.is(t, bpf.RedirectPeer, r.lxcA)
				out.became(t, frame(lxcA, podA), hops(f, 63), answer)
			})
		})
	}
}

func TestNodePortToTheNodeItself(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	eachFlow(t, balanced, func(t *testing.T, f family, p bpf.Protocol) {
		r.serve(t, p, node1.at(f, 30080), node1.at(f, 8080))
		for _, at := range []hook{r.xdp(), r.fromNetdev()} {
			out := r.send(t, at, client, node1, message(p, client.at(f, 40000), node1.at(f, 30080)))
			out.is(t, bpf.Pass, 0)
			out.became(t, hops(f, 64), message(p, client.at(f, 40000), node1.at(f, 8080)))
		}
		reply := message(p, node1.at(f, 8080), client.at(f, 40000))
		r.send(t, r.toNetdev(r.nic), node1, client, reply).untouched(t) // not made by the stack, so not its answer
		out := r.send(t, r.toNetdev(0), node1, client, reply)
		out.is(t, bpf.Pass, 0)
		out.became(t, hops(f, 64), message(p, node1.at(f, 30080), client.at(f, 40000)))
	})
}

func TestServiceThatOnlyPodsReach(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, f := range families {
		require.NoError(t, r.PutService(bpf.Service{
			Frontend: bpf.Frontend{Addr: cluster.at(f, 80), Protocol: bpf.TCP}, Backends: at(remote.at(f, 80)),
		}))
		request := message(bpf.TCP, client.at(f, 40000), cluster.at(f, 80))
		r.send(t, r.xdp(), client, node1, request).untouched(t)
		r.send(t, r.fromNetdev(), client, node1, request).untouched(t)
		r.send(t, r.fromA(), podA, lxcA, message(bpf.TCP, podA.at(f, 40000), cluster.at(f, 80))).is(t, bpf.RedirectNeigh, r.nic)
		// Another port and another protocol are not the service.
		r.send(t, r.fromA(), podA, lxcA, message(bpf.TCP, podA.at(f, 40000), cluster.at(f, 81))).became(t, message(bpf.TCP, podA.at(f, 40000), cluster.at(f, 81)))
		r.send(t, r.fromA(), podA, lxcA, message(bpf.UDP, podA.at(f, 40000), cluster.at(f, 80))).became(t, message(bpf.UDP, podA.at(f, 40000), cluster.at(f, 80)))
	}
}

// TestServiceWithoutBackend has the sender told, and quoted what it sent.
func TestServiceWithoutBackend(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.unsummed = true // every run is counted
	eachFlow(t, balanced, func(t *testing.T, f family, p bpf.Protocol) {
		r.serve(t, p, node1.at(f, 30080))
		for _, c := range []struct {
			at       hook
			from, to machine
		}{{r.xdp(), client, node1}, {r.fromNetdev(), client, node1}, {r.fromA(), podA, lxcA}} {
			for _, size := range []int{16, 17, 31, 1400} {
				request := message(p, c.from.at(f, 40000), node1.at(f, 30080))
				out := r.send(t, c.at, c.from, c.to, withPayload(request, size))
				out.is(t, bpf.Reject, c.at.device)
				require.Equal(t, bpf.NoBackend, out.event.Reason)
				out.became(t, frame(c.to, c.from), hops(f, 64), unreachable(f, node1, c.from, request))
			}
		}
		require.Empty(t, r.checkFlows(t))
	})
	metrics, err := r.Metrics()
	require.NoError(t, err)
	for _, m := range metrics {
		require.Equal(t, bpf.NoBackend, m.Reason, "%+v", m)
		require.EqualValues(t, 4*4, m.Packets, "%+v", m)
	}
	require.Len(t, metrics, 3)
}

// withPayload is message with a payload of so many bytes.
func withPayload(message packet.Template, size int) packet.Template {
	switch m := message.(type) {
	case packet.TCP:
		m.Payload = make([]byte, size)
		return m
	case packet.UDP:
		m.Payload = make([]byte, size)
		return m
	}
	return message
}

// unreachable is what tells to that from has nobody at the port that about is for.
func unreachable(f family, from, to machine, about packet.Template) packet.Template {
	if f == v6 {
		return packet.ICMPv6{Src: from.ipv6, Dst: to.ipv6, Type: packet.ICMPv6DestinationUnreachable, Code: packet.ICMPv6PortUnreachable, Embedded: about}
	}
	return packet.ICMP{Src: from.ipv4, Dst: to.ipv4, Type: packet.ICMPDestinationUnreachable, Code: packet.ICMPPortUnreachable, Embedded: about}
}

// TestNobodyIsTold has no backend for packets whose source is not one machine.
func TestNobodyIsTold(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, f := range families {
		r.serve(t, bpf.UDP, node1.at(f, 30080))
		for _, from := range []machine{
			host("0.0.0.1", "::", ""), host("127.0.0.1", "::1", ""), host("224.0.0.1", "ff02::1", ""), host("255.255.255.255", "ff0e::1", ""),
		} {
			for _, at := range []hook{r.xdp(), r.fromNetdev()} {
				r.send(t, at, client, node1, message(bpf.UDP, from.at(f, 40000), node1.at(f, 30080))).dropped(t, bpf.NoBackend)
			}
		}
	}
}

func TestServiceSpreadsFlows(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, f := range families {
		r.serve(t, bpf.TCP, node1.at(f, 30080), remote.at(f, 80), remote2.at(f, 80), podA.at(f, 80), podB.at(f, 80))
		backends := map[netip.AddrPort]int{}
		const flows = 200
		for i := range flows {
			out := r.offer(t, r.xdp(), client, node1, message(bpf.TCP, client.at(f, uint16(40000+i)), node1.at(f, 30080)))
			backends[out.Dst()]++
		}
		require.Len(t, backends, 4)
		for backend, n := range backends {
			require.InDelta(t, flows/4, n, 25, "flows to %s", backend)
		}
		require.NoError(t, r.DeleteFlows())
	}
}

// TestServiceChanges gives a service another backend, and then takes it away.
func TestServiceChanges(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	eachFlow(t, balanced, func(t *testing.T, f family, p bpf.Protocol) {
		require.NoError(t, r.DeleteFlows())
		frontend := bpf.Frontend{Addr: node1.at(f, 30080), Protocol: p}
		first := message(p, client.at(f, 40000), frontend.Addr)
		second := message(p, client.at(f, 40001), frontend.Addr)
		dst := func(m packet.Template) netip.AddrPort { return r.send(t, r.xdp(), client, node1, m).Dst() }
		old, after := remote.at(f, 80), remote2.at(f, 80)
		kept := old
		if p == bpf.UDP {
			kept = after
		}

		r.serve(t, p, frontend.Addr, old)
		require.Equal(t, old, dst(first))
		r.serve(t, p, frontend.Addr, old, after)
		require.Equal(t, old, dst(first), "the flow's backend is one still")
		r.serve(t, p, frontend.Addr, after)
		require.Equal(t, kept, dst(first), "a running flow of TCP keeps its backend, one of UDP does not stay with one that is gone")
		require.Equal(t, after, dst(second), "a new one finds the new backend")

		require.NoError(t, r.DeleteService(frontend))
		r.send(t, r.xdp(), client, node1, message(p, client.at(f, 40002), frontend.Addr)).untouched(t)
		if p == bpf.UDP {
			r.send(t, r.xdp(), client, node1, first).untouched(t)
			require.Empty(t, r.checkFlows(t))
		} else {
			require.Equal(t, kept, dst(first))
		}
	})
	used, err := r.Used()
	require.NoError(t, err)
	require.Zero(t, used)
}

func TestWayToBackend(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i, to := range []struct {
		name    string
		backend machine
		tc      bpf.Verdict
		reason  bpf.DropReason
	}{
		{"behind the gateway", world, bpf.RedirectNeigh, bpf.NoDrop},
		{"not resolved", silent, bpf.RedirectNeigh, bpf.NoDrop},
		{"without a route", host("192.0.2.1", "2001:db8:2::1", ""), bpf.Drop, bpf.NoRoute},
	} {
		for _, f := range families {
			t.Run(fmt.Sprintf("%s/%s", to.name, f), func(t *testing.T) {
				frontend := node1.at(f, uint16(30080+i))
				r.serve(t, bpf.UDP, frontend, to.backend.at(f, 80))
				if to.reason == bpf.NoRoute {
					r.ns.try(t, func() error { return addBlackhole(to.backend.addr(f)) })
				}
				request := message(bpf.UDP, client.at(f, 40000), frontend)
				if to.name == "behind the gateway" {
					out := r.send(t, r.xdp(), client, node1, request)
					out.is(t, bpf.Tx, r.nic)
					out.became(t, frame(node1, gateway))
				} else {
					r.send(t, r.xdp(), client, node1, request).untouched(t)
				}
				require.NoError(t, r.DeleteFlows())
				out := r.send(t, r.fromNetdev(), client, node1, request)
				require.Equal(t, to.tc, out.event.Verdict)
				require.Equal(t, to.reason, out.event.Reason)
			})
		}
	}
}

// TestNextHop has a neighbour move under a running flow: XDP and TC ask the FIB again once a second, and for every packet
// that is larger than those known to fit.
func TestNextHop(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	moved := node2
	moved.mac = net.HardwareAddr{2, 9, 0, 0, 0, 2}
	for _, hook := range []struct {
		hook
		first, next bpf.Verdict
	}{
		{r.xdp(), bpf.Tx, bpf.Tx},
		{r.fromNetdev(), bpf.RedirectNeigh, bpf.Redirect},
	} {
		for _, f := range families {
			t.Run(fmt.Sprintf("%s/%s", hook.point, f), func(t *testing.T) {
				r.serve(t, bpf.UDP, node1.at(f, 30080), remote.at(f, 80))
				request := bpf.Tuple{Src: client.at(f, 40000), Dst: node1.at(f, 30080), Protocol: bpf.UDP}
				send := func(payload int) outcome {
					return r.send(t, hook.hook, client, node1, packet.UDP{Src: request.Src, Dst: request.Dst, Payload: make([]byte, payload)})
				}
				lastSeen := func() uint64 { return r.checkFlows(t)[request].LastSeen }

				// A packet that comes in the same second as the one before finds what that has left.
				var old outcome
				for sameSecond := false; !sameSecond; {
					require.NoError(t, r.DeleteFlows())
					r.ns.try(t, func() error { return setNeighbour(r.nic, node2) })
					send(64).is(t, hook.first, r.nic)
					opened := lastSeen()
					r.ns.try(t, func() error { return setNeighbour(r.nic, moved) })
					old = send(64)
					sameSecond = lastSeen() == opened
				}
				old.is(t, hook.next, r.nic)
				old.became(t, frame(node1, node2))

				require.NoError(t, r.AgeFlow(request))
				send(64).is(t, hook.first, r.nic)
				require.Equal(t, moved.mac, r.checkFlows(t)[request].NextHop)

				for _, size := range []int{64, 1000} {
					asked, found := send(size), outcome{}
					for before := uint64(0); before != lastSeen(); {
						before = lastSeen()
						found = send(size)
					}
					if size == 1000 {
						asked.is(t, hook.first, r.nic)
					}
					found.is(t, hook.next, r.nic)
					found.became(t, frame(node1, moved))
				}
				if hook.point == bpf.AtXDP {
					send(2000).untouched(t)
				} else {
					send(2000).told(t, bpf.TooBig, tooBig(f, node1, client, 1500))
				}
			})
		}
	}
}
