package bpf_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness/packet"
)

// tcp sends one segment of the client's connection to a NodePort.
func (r *rig) tcp(t testing.TB, f family, flags packet.Flags) outcome {
	t.Helper()
	return r.send(t, r.xdp(), client, node1, packet.TCP{Src: client.at(f, 40000), Dst: node1.at(f, 30080), Flags: flags})
}

// state is that of the one flow there is.
func (r *rig) state(t testing.TB) bpf.State {
	t.Helper()
	flows, err := r.Flows()
	require.NoError(t, err)
	require.Len(t, flows, 2, "both directions of one flow")
	require.Equal(t, flows[0].State, flows[1].State, "in both directions")
	return flows[0].State
}

// TestTCPStates follows connections to a NodePort from their first segment to their last, and to the next one from the same port.
func TestTCPStates(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	type step struct {
		reply bool
		flags packet.Flags
		state bpf.State
	}
	asks := func(flags packet.Flags, state bpf.State) step { return step{false, flags, state} }
	answers := func(flags packet.Flags, state bpf.State) step { return step{true, flags, state} }
	open := []step{
		asks(packet.SYN, bpf.Opening), asks(packet.SYN, bpf.Opening), answers(packet.SYN|packet.ACK, bpf.Opening),
		asks(packet.ACK, bpf.Established), asks(packet.PSH|packet.ACK, bpf.Established), answers(packet.ACK, bpf.Established),
	}
	for name, steps := range map[string][]step{
		"closed by the client": append(open,
			asks(packet.FIN|packet.ACK, bpf.HalfClosed), asks(packet.FIN|packet.ACK, bpf.HalfClosed), answers(packet.ACK, bpf.HalfClosed),
			answers(packet.PSH|packet.ACK, bpf.HalfClosed), answers(packet.FIN|packet.ACK, bpf.Closed), asks(packet.ACK, bpf.Closed),
			asks(packet.SYN, bpf.Opening), asks(packet.ACK, bpf.Established)),
		"closed by the backend": append(open,
			answers(packet.FIN|packet.ACK, bpf.HalfClosed), asks(packet.PSH|packet.ACK, bpf.HalfClosed),
			asks(packet.FIN|packet.ACK, bpf.Closed), answers(packet.ACK, bpf.Closed), asks(packet.SYN, bpf.Opening)),
		"reset by the client": append(open, asks(packet.RST, bpf.Closed), answers(packet.ACK, bpf.Closed), asks(packet.SYN, bpf.Opening)),
		"a SYN-ACK behind the end": append(open, asks(packet.FIN|packet.ACK, bpf.HalfClosed), answers(packet.FIN|packet.ACK, bpf.Closed),
			answers(packet.SYN|packet.ACK, bpf.Closed), asks(packet.ACK, bpf.Closed)), // one that was late opens nothing
		"reset by the backend":        append(open, answers(packet.RST|packet.ACK, bpf.Closed), asks(packet.ACK, bpf.Closed)),
		"refused":                     {asks(packet.SYN, bpf.Opening), answers(packet.RST|packet.ACK, bpf.Closed), asks(packet.SYN, bpf.Opening)},
		"the client's own SYN":        append(open, asks(packet.SYN, bpf.Established)), // the backend will say what it thinks of it
		"joined in the middle":        {asks(packet.ACK, bpf.Opening), asks(packet.ACK, bpf.Established)},
		"a client that never answers": {asks(packet.SYN, bpf.Opening), answers(packet.SYN|packet.ACK, bpf.Opening), answers(packet.ACK, bpf.Opening)},
	} {
		for _, hooks := range [][2]hook{{r.xdp(), r.xdp()}, {r.fromNetdev(), r.fromNetdev()}} {
			for _, f := range families {
				t.Run(fmt.Sprintf("%s/%s/%s", hooks[0].point, f, name), func(t *testing.T) {
					require.NoError(t, r.DeleteFlows())
					r.serve(t, bpf.TCP, node1.at(f, 30080), remote.at(f, 80))
					var seen netip.AddrPort
					for i, s := range steps {
						if s.reply {
							out := r.send(t, hooks[1], node2, node1, packet.TCP{Src: remote.at(f, 80), Dst: seen, Flags: s.flags})
							out.became(t, packet.TCP{Src: node1.at(f, 30080), Dst: client.at(f, 40000)})
						} else {
							seen = r.send(t, hooks[0], client, node1, packet.TCP{Src: client.at(f, 40000), Dst: node1.at(f, 30080), Flags: s.flags}).Src()
						}
						require.Equal(t, s.state, r.state(t), "after segment %d: %+v", i+1, s)
					}
				})
			}
		}
	}
}

func TestPortUsedAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, f := range families {
		for name, end := range map[string]packet.Flags{"after FIN": packet.FIN | packet.ACK, "after RST": packet.RST} {
			t.Run(string(f)+"/"+name, func(t *testing.T) {
				require.NoError(t, r.DeleteFlows())
				r.serve(t, bpf.TCP, node1.at(f, 30080), remote.at(f, 80))
				first := r.tcp(t, f, packet.SYN)
				require.Equal(t, remote.at(f, 80), first.Dst())
				r.serve(t, bpf.TCP, node1.at(f, 30080), remote2.at(f, 80))

				require.Equal(t, remote.at(f, 80), r.tcp(t, f, packet.SYN).Dst(), "a SYN sent again")
				require.Equal(t, remote.at(f, 80), r.tcp(t, f, packet.ACK).Dst(), "the connection")
				require.Equal(t, remote.at(f, 80), r.tcp(t, f, end).Dst(), "its end")
				require.Equal(t, remote.at(f, 80), r.tcp(t, f, packet.ACK).Dst(), "what follows the end")

				require.Equal(t, remote2.at(f, 80), r.tcp(t, f, packet.SYN).Dst(), "a new connection from the same port")
				require.Len(t, r.checkFlows(t), 2, "nothing is left of the old one")
			})
		}
	}
}

// TestEviction removes one half of a flow, as the table does when it is full.
func TestEviction(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	eachFlow(t, balanced, func(t *testing.T, f family, p bpf.Protocol) {
		r.serve(t, p, node1.at(f, 30080), remote.at(f, 80), remote2.at(f, 80), podB.at(f, 80))
		request := bpf.Tuple{Src: client.at(f, 40000), Dst: node1.at(f, 30080), Protocol: p}
		send := func(t *testing.T) outcome {
			return r.send(t, r.xdp(), client, node1, message(p, request.Src, request.Dst))
		}
		t.Run("forward half", func(t *testing.T) {
			require.NoError(t, r.DeleteFlows())
			first := send(t)
			require.NoError(t, r.EvictFlow(request))
			again := send(t)
			require.Equal(t, first.Dst(), again.Dst(), "backend")
			require.Equal(t, first.Src(), again.Src(), "source port")
			require.Len(t, r.checkFlows(t), 2)
		})
		t.Run("reply half", func(t *testing.T) {
			require.NoError(t, r.DeleteFlows())
			first := send(t)
			reply := bpf.Tuple{Src: first.Dst(), Dst: first.Src(), Protocol: p}
			require.NoError(t, r.EvictFlow(reply))
			require.NoError(t, r.AgeFlow(request)) // within a second of traffic the flow is looked after
			require.Equal(t, first.Src(), send(t).Src())
			require.Equal(t, client.mac, r.checkFlows(t)[reply].NextHop, "the reply's way is known again")
		})
	})
}

func TestLastSeen(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.serve(t, bpf.UDP, node1.at(v4, 30080), remote.at(v4, 80))
	request := bpf.Tuple{Src: client.at(v4, 40000), Dst: node1.at(v4, 30080), Protocol: bpf.UDP}
	out := r.send(t, r.xdp(), client, node1, message(bpf.UDP, request.Src, request.Dst))
	require.NoError(t, r.AgeFlow(request))
	require.EqualValues(t, 1, r.checkFlows(t)[request].LastSeen)
	again := r.send(t, r.xdp(), client, node1, message(bpf.UDP, request.Src, request.Dst))
	require.Greater(t, r.checkFlows(t)[request].LastSeen, out.event.Time)
	require.Less(t, r.checkFlows(t)[request].LastSeen, again.event.Time)
}

// TestClientMoves has a client's packets come from another neighbour, the second router of its network for instance.
func TestClientMoves(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	eachFlow(t, balanced, func(t *testing.T, f family, p bpf.Protocol) {
		r.serve(t, p, node1.at(f, 30080), remote.at(f, 80))
		request := bpf.Tuple{Src: client.at(f, 40000), Dst: node1.at(f, 30080), Protocol: p}
		out := r.send(t, r.xdp(), client, node1, message(p, request.Src, request.Dst))
		require.NoError(t, r.AgeFlow(request)) // the way is looked at about once a second
		r.send(t, r.xdp(), gateway, node1, message(p, request.Src, request.Dst))
		r.send(t, r.xdp(), node2, node1, message(p, out.Dst(), out.Src())).
			became(t, frame(node1, gateway), message(p, request.Dst, request.Src))
	})
}
