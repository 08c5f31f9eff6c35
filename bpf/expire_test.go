package bpf_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness/packet"
)

// timeouts are all different.
var timeouts = bpf.Timeouts{
	Opening: 1 * time.Second, Established: 2 * time.Second, HalfClosed: 3 * time.Second, Closed: 4 * time.Second,
	UDP: 5 * time.Second, ICMP: 6 * time.Second,
}

// expire removes what is idle for longer than timeouts at that time, in ns of CLOCK_MONOTONIC.
func (r *rig) expire(t testing.TB, now uint64) (removed int) {
	t.Helper()
	removed, err := r.ExpireFlowsAt(now, timeouts)
	require.NoError(t, err)
	return removed
}

// TestTimeouts has flows of every kind idle until a moment before their time is over, and a moment longer.
func TestTimeouts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	segments := func(f family, flags ...packet.Flags) (all []packet.Template) {
		for _, flag := range flags {
			all = append(all, packet.TCP{Src: podA.at(f, 40000), Dst: world.at(f, 80), Flags: flag})
		}
		return all
	}
	for _, f := range families {
		for _, c := range []struct {
			name    string
			timeout time.Duration
			packets []packet.Template // from pod a to the world
		}{
			{"opening", timeouts.Opening, segments(f, packet.SYN)},
			{"established", timeouts.Established, segments(f, packet.SYN, packet.ACK)},
			{"half closed", timeouts.HalfClosed, segments(f, packet.SYN, packet.ACK, packet.FIN|packet.ACK)},
			{"closed", timeouts.Closed, segments(f, packet.SYN, packet.RST)},
			{"UDP", timeouts.UDP, []packet.Template{message(bpf.UDP, podA.at(f, 40000), world.at(f, 80))}},
			{"echo", timeouts.ICMP, []packet.Template{message(bpf.ICMP, podA.at(f, 40000), world.at(f, 0))}},
		} {
			t.Run(fmt.Sprintf("%s/%s", f, c.name), func(t *testing.T) {
				require.NoError(t, r.DeleteFlows())
				for _, p := range c.packets {
					r.send(t, r.toNetdev(r.lxcA), node1, gateway, p).is(t, bpf.Pass, 0)
				}
				var last uint64
				for _, flow := range r.checkFlows(t) {
					last = max(last, flow.LastSeen)
					require.Equal(t, c.timeout, timeouts.Of(flow))
				}
				require.Zero(t, r.expire(t, last+uint64(c.timeout)-1))
				require.Len(t, r.checkFlows(t), 2)
				require.Equal(t, 2, r.expire(t, last+uint64(c.timeout)))
				require.Empty(t, r.checkFlows(t))
			})
		}
	}
}

// opened is a flow of UDP from pod a to the world, by both of its entries.
func (r *rig) opened(t testing.TB, f family) (forward, reply bpf.Tuple) {
	t.Helper()
	require.NoError(t, r.DeleteFlows())
	forward = bpf.Tuple{Src: podA.at(f, 40000), Dst: world.at(f, 80), Protocol: bpf.UDP}
	out := r.send(t, r.toNetdev(r.lxcA), node1, gateway, message(bpf.UDP, forward.Src, forward.Dst))
	return forward, bpf.Tuple{Src: forward.Dst, Dst: out.Src(), Protocol: bpf.UDP}
}

// TestBothDirectionsAreIdle: a flow lives as long as packets come in one direction, and goes as a whole.
func TestBothDirectionsAreIdle(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, f := range families {
		for _, used := range []string{"the request's", "the reply's"} {
			t.Run(fmt.Sprintf("%s/%s direction", f, used), func(t *testing.T) {
				forward, reply := r.opened(t, f)
				idle := forward
				if used == "the request's" {
					idle = reply
				}
				require.NoError(t, r.AgeFlow(idle))
				flows := r.checkFlows(t)
				last := max(flows[forward].LastSeen, flows[reply].LastSeen)
				require.Zero(t, r.expire(t, last+uint64(timeouts.UDP)-1))
				require.Equal(t, flows, r.checkFlows(t), "nothing has changed")
				require.Equal(t, 2, r.expire(t, last+uint64(timeouts.UDP)))
				require.Empty(t, r.checkFlows(t))
			})
		}
	}
}

// TestHalfAFlowExpires has the kernel evict one entry first.
func TestHalfAFlowExpires(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	forward, reply := r.opened(t, v4)
	for _, half := range []bpf.Tuple{forward, reply} {
		r.opened(t, v4)
		require.NoError(t, r.EvictFlow(half))
		flows, err := r.Flows()
		require.NoError(t, err)
		require.Len(t, flows, 1)
		require.Zero(t, r.expire(t, flows[0].LastSeen+uint64(timeouts.UDP)-1))
		require.Equal(t, 1, r.expire(t, flows[0].LastSeen+uint64(timeouts.UDP)))
	}
}

// TestUsedSinceItWasRead has the agent ask for the removal of a flow that was used after the agent looked at it.
func TestUsedSinceItWasRead(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.serve(t, bpf.TCP, node1.at(v4, 30080), remote.at(v4, 80))
	r.tcp(t, v4, packet.SYN)
	r.tcp(t, v4, packet.ACK)
	before := r.checkFlows(t)
	for key, flow := range before {
		removed, err := r.ExpireFlow(key, flow.LastSeen-1)
		require.NoError(t, err)
		require.Zero(t, removed)
	}
	require.Equal(t, before, r.checkFlows(t), "state and all")
	r.tcp(t, v4, packet.ACK).is(t, bpf.Tx, r.nic)

	removed, err := r.ExpireFlow(bpf.Tuple{Src: client.at(v4, 1), Dst: node1.at(v4, 1), Protocol: bpf.TCP}, 1)
	require.NoError(t, err)
	require.Zero(t, removed, "there is no such flow")
}

// TestPacketWhileItsFlowIsRemoved stops the removal where an entry is marked and still there.
func TestPacketWhileItsFlowIsRemoved(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *bpf.Config) { c.SNATPorts = bpf.PortRange{Min: 50000, Max: 50000} })
	for _, f := range families {
		send := func() outcome {
			return r.offer(t, r.toNetdev(r.lxcA), node1, gateway, message(bpf.UDP, podA.at(f, 40000), world.at(f, 80)))
		}
		t.Run(string(f)+"/forward", func(t *testing.T) {
			forward, _ := r.opened(t, f)
			require.NoError(t, r.MarkFlow(forward))
			marked := r.checkFlows(t)
			send().dropped(t, bpf.CTExpired)
			require.Equal(t, marked[forward], r.checkFlows(t)[forward])
		})
		t.Run(string(f)+"/reply", func(t *testing.T) {
			forward, reply := r.opened(t, f)
			require.NoError(t, r.MarkFlow(reply))
			answer := message(bpf.UDP, reply.Src, reply.Dst)
			r.offer(t, r.xdp(), gateway, node1, answer).untouched(t)
			r.offer(t, r.fromNetdev(), gateway, node1, answer).untouched(t)
			require.NoError(t, r.EvictFlow(forward))
			send().dropped(t, bpf.CTExpired)
			// Nor is the port free for another flow.
			other := r.offer(t, r.toNetdev(r.lxcB), node1, gateway, message(bpf.UDP, podB.at(f, 40000), world.at(f, 80)))
			other.dropped(t, bpf.SNATNoPort)
		})
	}
}

// TestPortsComeBack has all ports taken by flows that end.
func TestPortsComeBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *bpf.Config) { c.SNATPorts = bpf.PortRange{Min: 50000, Max: 50003} })
	eachFlow(t, protocols, func(t *testing.T, f family, p bpf.Protocol) {
		require.NoError(t, r.DeleteFlows())
		send := func(from uint16) outcome {
			return r.send(t, r.toNetdev(r.lxcA), node1, gateway, message(p, podA.at(f, from), world.at(f, port(p, 80))))
		}
		for round := range uint16(3) {
			for i := range uint16(4) {
				send(40000+10*round+i).is(t, bpf.Pass, 0)
			}
			send(41000+round).dropped(t, bpf.SNATNoPort)
			var last uint64
			for _, flow := range r.checkFlows(t) {
				last = max(last, flow.LastSeen)
			}
			require.Equal(t, 8, r.expire(t, last+uint64(time.Minute)))
		}
	})
}

// TestManyFlowsExpire removes more flows than one call to the kernel takes, and only those that are idle.
func TestManyFlowsExpire(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const flows = 300
	for i := range uint16(flows) {
		r.offer(t, r.toNetdev(r.lxcA), node1, gateway, message(bpf.UDP, podA.at(v4, 40000+i), world.at(v4, 80)))
	}
	r.offer(t, r.toNetdev(r.lxcA), node1, gateway, message(bpf.ICMP, podA.at(v4, 1), world.at(v4, 0)))
	var last uint64
	for _, flow := range r.checkFlows(t) {
		if flow.Protocol == bpf.UDP {
			last = max(last, flow.LastSeen)
		}
	}
	require.Equal(t, 2*flows, r.expire(t, last+uint64(timeouts.UDP)))
	require.Len(t, r.checkFlows(t), 2)
}

// TestExpiryUnderTraffic removes flows all the time while they are used: a packet is translated or dropped for the one
// reason there is, and what is left is whole.
func TestExpiryUnderTraffic(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *bpf.Config) { c.Trace = false })
	r.serve(t, bpf.TCP, node1.at(v4, 30080), remote.at(v4, 80))
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		none := bpf.Timeouts{}
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if _, err := r.ExpireFlows(none); err != nil {
				done <- err
				return
			}
		}
	}()
	frames := make([][]byte, 8)
	for i := range frames {
		frames[i] = wire(t, packet.TCP{Src: client.at(v4, uint16(40000+i)), Dst: node1.at(v4, 30080), Flags: packet.SYN})
	}
	out := make([]byte, 256)
	r.ns.try(t, func() error {
		for i := range 20_000 {
			if err := r.forwarded(frames[i%len(frames)], out, remote.at(v4, 80)); err != nil {
				return err
			}
		}
		return nil
	})
	close(stop)
	require.NoError(t, <-done)
	r.expire(t, 1<<62)
	require.Empty(t, r.checkFlows(t))
	drops, err := r.Metrics()
	require.NoError(t, err)
	for _, m := range drops {
		if m.Verdict == bpf.Drop {
			require.Equal(t, bpf.CTExpired, m.Reason, "%+v", m)
		}
	}
}

// forwarded runs XDP on a frame and fails unless it is sent to that address, or dropped.
func (r *rig) forwarded(frame, out []byte, to netip.AddrPort) error {
	options := &ebpf.RunOptions{Data: frame, DataOut: out, Context: r.xdp().context(len(frame))}
	code, err := r.Programs.XDPEntry.Run(options)
	if err != nil || code == r.xdp().code(bpf.Drop) {
		return err
	}
	p, err := packet.Decode(options.DataOut)
	if err != nil {
		return err
	}
	if code != r.xdp().code(bpf.Tx) || p.Dst() != to {
		return errors.New("went astray: " + p.String())
	}
	return nil
}
