package bpf_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
)

// claimLasts is CLAIM_LASTS, and a moment more.
const claimLasts = 4*time.Second + 2*time.Millisecond

// onePort leaves source translation a single port.
func onePort(c *bpf.Config) { c.SNATPorts = bpf.PortRange{Min: 50000, Max: 50000} }

// TestLateAnswer has the table evict a flow that is the only one with its port, and another want the port: for a while nobody
// gets it but the flow that had it, and an answer to that one reaches nobody else.
func TestLateAnswer(t *testing.T) {
	t.Parallel()
	r := newRig(t, onePort)
	eachFlow(t, balanced, func(t *testing.T, f family, p bpf.Protocol) {
		r.serve(t, p, node1.at(f, 30080), remote.at(f, 80))
		forward := bpf.Tuple{Src: client.at(f, 40000), Dst: node1.at(f, 30080), Protocol: p}
		reply := bpf.Tuple{Src: remote.at(f, 80), Dst: node1.at(f, 50000), Protocol: p}
		send := func(from machine) outcome {
			return r.offer(t, r.xdp(), from, node1, message(p, from.at(f, 40000), node1.at(f, 30080)))
		}
		answer := func() outcome {
			return r.offer(t, r.xdp(), node2, node1, message(p, remote.at(f, 80), node1.at(f, 50000)))
		}
		for name, evicted := range map[string][]bpf.Tuple{"its reply half": {reply}, "the whole flow": {forward, reply}} {
			t.Run(name, func(t *testing.T) {
				require.NoError(t, r.DeleteFlows())
				require.Equal(t, node1.at(f, 50000), send(client).Src())
				for _, half := range evicted {
					require.NoError(t, r.EvictFlow(half))
				}
				answer().untouched(t)
				send(silent).dropped(t, bpf.SNATNoPort)
				answer().untouched(t)

				if len(evicted) == 1 {
					require.NoError(t, r.AgeFlow(forward)) // within a second of traffic the flow is looked after
				}
				require.Equal(t, node1.at(f, 50000), send(client).Src(), "who had the port gets it")
				answer().became(t, frame(node1, client), message(p, node1.at(f, 30080), client.at(f, 40000)))
				require.Len(t, r.checkFlows(t), 2)

				for _, half := range []bpf.Tuple{forward, reply} {
					require.NoError(t, r.EvictFlow(half))
				}
				require.NoError(t, r.AgeClaims(claimLasts))
				require.Equal(t, node1.at(f, 50000), send(silent).Src(), "later it is free")
				answer().became(t, frame(node1, silent), message(p, node1.at(f, 30080), silent.at(f, 40000)))
			})
		}
	})
}

// TestClaimLastsWhileTheFlowIsUsed opens a flow long ago and uses it now, in one direction or the other, before it is evicted.
func TestClaimLastsWhileTheFlowIsUsed(t *testing.T) {
	t.Parallel()
	r := newRig(t, onePort)
	eachFlow(t, balanced, func(t *testing.T, f family, p bpf.Protocol) {
		r.serve(t, p, node1.at(f, 30080), remote.at(f, 80))
		forward := bpf.Tuple{Src: client.at(f, 40000), Dst: node1.at(f, 30080), Protocol: p}
		reply := bpf.Tuple{Src: remote.at(f, 80), Dst: node1.at(f, 50000), Protocol: p}
		for name, used := range map[string]bpf.Tuple{"asked": forward, "answered": reply, "after its request's half was evicted": {}} {
			t.Run(name, func(t *testing.T) {
				require.NoError(t, r.DeleteFlows())
				r.send(t, r.xdp(), client, node1, message(p, forward.Src, forward.Dst))
				require.NoError(t, r.AgeClaims(claimLasts))
				switch used {
				case bpf.Tuple{}:
					require.NoError(t, r.EvictFlow(forward))
					r.send(t, r.xdp(), client, node1, message(p, forward.Src, forward.Dst))
				default:
					require.NoError(t, r.AgeFlow(used))
					r.send(t, r.xdp(), map[bpf.Tuple]machine{forward: client, reply: node2}[used], node1, message(p, used.Src, used.Dst))
				}
				require.NoError(t, r.EvictFlow(forward))
				require.NoError(t, r.EvictFlow(reply))
				r.offer(t, r.xdp(), silent, node1, message(p, silent.at(f, 40000), node1.at(f, 30080))).dropped(t, bpf.SNATNoPort)
			})
		}
	})
}

// TestEvictedTupleIsTaken has another flow take the port of one that lost its reply half long ago; there is only one port.
func TestEvictedTupleIsTaken(t *testing.T) {
	t.Parallel()
	r := newRig(t, onePort)
	eachFlow(t, balanced, func(t *testing.T, f family, p bpf.Protocol) {
		require.NoError(t, r.DeleteFlows())
		r.serve(t, p, node1.at(f, 30080), remote.at(f, 80))
		send := func(from machine) outcome {
			return r.offer(t, r.xdp(), from, node1, message(p, from.at(f, 40000), node1.at(f, 30080)))
		}
		require.Equal(t, node1.at(f, 50000), send(client).Src())
		require.NoError(t, r.EvictFlow(bpf.Tuple{Src: remote.at(f, 80), Dst: node1.at(f, 50000), Protocol: p}))
		require.NoError(t, r.AgeClaims(claimLasts))
		require.Equal(t, node1.at(f, 50000), send(silent).Src())

		require.NoError(t, r.AgeFlow(bpf.Tuple{Src: client.at(f, 40000), Dst: node1.at(f, 30080), Protocol: p}))
		send(client).dropped(t, bpf.SNATNoPort) // what is left of the first flow must not share the second one's tuple
		require.Len(t, r.checkFlows(t), 2, "and is gone")
	})
}

// TestClaimsRunOut has room for five claims: more flows do not open until the claims are old, and a flow that was idle when
// its claim was lost keeps others away when it is used again.
func TestClaimsRunOut(t *testing.T) {
	t.Parallel()
	sizes := smallMaps
	sizes.Claims = 1
	r := newRigOf(t, sizes)
	r.serve(t, bpf.UDP, node1.at(v4, 30080), remote.at(v4, 80))
	send := func(port uint16) outcome {
		return r.offer(t, r.xdp(), client, node1, message(bpf.UDP, client.at(v4, port), node1.at(v4, 30080)))
	}
	open := func(from uint16) {
		for i := range uint16(5) {
			send(from+i).is(t, bpf.Tx, r.nic)
		}
		send(from+5).dropped(t, bpf.SNATNoPort)
	}
	open(20000)
	require.NoError(t, r.AgeClaims(claimLasts))
	open(30000)
	require.NoError(t, r.AgeClaims(claimLasts/2))
	require.NoError(t, r.AgeFlow(bpf.Tuple{Src: client.at(v4, 20000), Dst: node1.at(v4, 30080), Protocol: bpf.UDP}))
	send(20000).is(t, bpf.Tx, r.nic) // it has no claim any more
	require.NoError(t, r.AgeClaims(claimLasts/2))
	send(40000).dropped(t, bpf.SNATNoPort) // which may get the tuple of 20000's answers
	require.NoError(t, r.AgeClaims(claimLasts/2))
	open(40000)
}

// TestFullTable opens many times more flows than fit: each is served, the table stays in bounds, and an answer to any of them
// reaches the client that it is for, or nobody.
func TestFullTable(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *bpf.Config) { c.SNATPorts = bpf.PortRange{Min: 50000, Max: 50000 + 8191} })
	r.serve(t, bpf.UDP, node1.at(v4, 30080), remote.at(v4, 80))
	type use struct {
		port  uint16 // the client's
		since uint64 // not before that, ns
	}
	users, now := map[netip.AddrPort]use{}, uint64(0)
	for i := range uint16(5000) {
		out := r.offer(t, r.xdp(), client, node1, message(bpf.UDP, client.at(v4, 10000+i), node1.at(v4, 30080)))
		out.is(t, bpf.Tx, r.nic)
		if before, used := users[out.Src()]; used {
			require.Greater(t, time.Duration(out.event.Time-before.since), claimLasts-10*time.Millisecond, "%s is for another client already", out.Src())
		}
		users[out.Src()] = use{10000 + i, now}
		now = out.event.Time
	}
	flows, err := r.Flows()
	require.NoError(t, err)
	require.LessOrEqual(t, len(flows), int(smallMaps.Flows))
	require.NotEmpty(t, flows)

	answered := 0
	for seen, user := range users {
		out := r.offer(t, r.xdp(), node2, node1, message(bpf.UDP, remote.at(v4, 80), seen))
		if out.changed {
			answered++
			out.became(t, message(bpf.UDP, node1.at(v4, 30080), client.at(v4, user.port)))
		} else {
			out.untouched(t)
		}
	}
	require.Positive(t, answered, "the newest flows are known")
	require.Less(t, answered, len(users))
}
