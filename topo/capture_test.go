package topo_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/topo"
)

// A tape records what a capture sees.
type tape struct {
	*topo.Capture
	mu     sync.Mutex
	frames []topo.Frame
	grew   chan struct{} // closed, and replaced, with every frame
}

// capture captures a network for the length of a test.
func capture(t testing.TB, network *topo.Network) *tape {
	t.Helper()
	tape := &tape{grew: make(chan struct{})}
	c, err := network.Capture(func(f topo.Frame) {
		tape.mu.Lock()
		defer tape.mu.Unlock()
		tape.frames = append(tape.frames, f)
		close(tape.grew)
		tape.grew = make(chan struct{})
	})
	require.NoError(t, err)
	tape.Capture = c
	return tape
}

// seen returns all frames so far that hold a text.
func (tape *tape) seen(t testing.TB, text string) (frames []topo.Frame) {
	t.Helper()
	require.NoError(t, tape.Sync(context.Background()))
	tape.mu.Lock()
	defer tape.mu.Unlock()
	for _, f := range tape.frames {
		if bytes.Contains(f.Data, []byte(text)) {
			frames = append(frames, f)
		}
	}
	return frames
}

// expect waits for frames that hold a text at as many places as are wanted, and compares.
func (tape *tape) expect(t testing.TB, text string, want ...string) {
	t.Helper()
	tape.await(func() bool { return len(tape.seen(t, text)) >= len(want) })
	require.Equal(t, want, places(tape.seen(t, text)))
}

// await asks done with every frame until it says so, and tells whether it did before patience ended.
func (tape *tape) await(done func() bool) bool {
	for end := time.After(patience); ; {
		tape.mu.Lock()
		grew := tape.grew
		tape.mu.Unlock()
		if done() {
			return true
		}
		select {
		case <-grew:
		case <-end:
			return done()
		}
	}
}

// forget empties the tape.
func (tape *tape) forget() {
	tape.mu.Lock()
	defer tape.mu.Unlock()
	tape.frames = nil
}

// places are where frames were seen: "node1/eth0 in".
func places(frames []topo.Frame) (places []string) {
	for _, f := range frames {
		places = append(places, f.Device.String()+" "+f.Direction.String())
	}
	return places
}

func TestCaptureFollowsAPacket(t *testing.T) {
	t.Parallel()
	network := up(t, topo.Example())
	tape := capture(t, network)
	from, to := machine(t, network, "client-on-worker1"), machine(t, network, "web-on-worker2")
	for _, family := range families {
		before := now()
		exchange(t, listen(t, from, ip(from, family)), listen(t, to, ip(to, family)))
		question := tape.seen(t, "question")
		require.Equal(t, []string{
			"client-on-worker1/eth0 out", "worker1/lxc-client in",
			"worker1/eth0 out", "worker2/eth0 in",
			"worker2/lxc-web out", "web-on-worker2/eth0 in",
		}, places(question), family)
		for _, f := range question {
			require.Greater(t, f.Time, before, "times rise along the way, on the clock of the process")
			require.Len(t, f.Data, f.Len)
			before = f.Time
		}
		require.Equal(t, []byte(to.Devices()[0].MAC), question[5].Data[:6])
		require.Len(t, tape.seen(t, "answer"), 6)
		tape.forget()
	}
	require.Zero(t, tape.Lost())
}

func TestNetworkAtRestIsSilent(t *testing.T) {
	t.Parallel()
	network := up(t, topo.Example())
	tape := capture(t, network)
	time.Sleep(500 * time.Millisecond) // nothing to wait for: that is the point
	require.Empty(t, places(tape.seen(t, "")))

	// Nor was it any louder while it came up: nobody looked for a router, or for who else has his address.
	for _, m := range network.Machines() {
		counters := strings.Fields(run(t, m, "cat", "/proc/net/snmp6"))
		for _, name := range []string{"Icmp6OutRouterSolicits", "Icmp6OutNeighborSolicits"} {
			require.Equal(t, "0", counters[slices.Index(counters, name)+1], "%s of %s", name, m.Name())
		}
	}
}

// Frames to one machine are seen by that machine alone, though no frame of it has taught the switch where it is: the switch
// forgets what it learned from a port that goes down, and the machine says nothing when it comes back.
func TestSwitchDoesNotFlood(t *testing.T) {
	t.Parallel()
	network := up(t, topo.Cluster(3))
	from, to := machine(t, network, "client"), machine(t, network, "node2")
	require.NoError(t, to.Sysctl("net.ipv6.conf.eth0.disable_ipv6", "1"))
	require.NoError(t, network.SetPort("node2", false))
	require.NoError(t, network.SetPort("node2", true))
	tape := capture(t, network)
	text := send(t, from, to.IPv4(), "to node2")
	tape.expect(t, text, "client/eth0 out", "node2/eth0 in")

	exchange(t, listen(t, from, from.IPv4()), listen(t, to, to.IPv4())) // whatever there was has come in before this
	tape.expect(t, text, "client/eth0 out", "node2/eth0 in")
}

func TestCaptureCutsLongFrames(t *testing.T) {
	t.Parallel()
	topology := topo.Cluster(1)
	topology.MTU = 60000
	network := up(t, topology)
	tape := capture(t, network)
	send(t, machine(t, network, "client"), machine(t, network, "node1").IPv4(), "long"+string(make([]byte, 50000)))
	tape.expect(t, "long", "client/eth0 out", "node1/eth0 in")
	for _, f := range tape.seen(t, "long") {
		require.Equal(t, 14+50004, f.Len)
		require.Len(t, f.Data, 16<<10)
	}
}

func TestCaptureDeliversEverythingBeforeItCloses(t *testing.T) {
	t.Parallel()
	network := up(t, topo.Cluster(1))
	tape := capture(t, network)
	const frames = 1000
	for range frames {
		send(t, machine(t, network, "client"), machine(t, network, "node1").IPv4(), "counted")
	}
	require.NoError(t, tape.Close())
	sent := 0
	for _, place := range places(tape.frames) {
		if place == "client/eth0 out" {
			sent++
		}
	}
	require.Equal(t, frames, sent)
	require.NoError(t, tape.Close(), "closing twice does no harm")
	require.ErrorContains(t, tape.Sync(context.Background()), "the capture is closed")
	require.Zero(t, tape.Lost())
}

func TestTwoCapturesSeeTheSame(t *testing.T) {
	t.Parallel()
	network := up(t, topo.Cluster(1))
	first, second := capture(t, network), capture(t, network)
	client, node := machine(t, network, "client"), machine(t, network, "node1")
	text := send(t, client, node.IPv6(), "to both")
	for _, tape := range []*tape{first, second} {
		tape.expect(t, text, "client/eth0 out", "node1/eth0 in")
	}
	require.NoError(t, first.Close())
	second.expect(t, send(t, client, node.IPv6(), "to one"), "client/eth0 out", "node1/eth0 in")
}

func TestCaptureCountsWhatItLoses(t *testing.T) {
	t.Parallel()
	network := up(t, topo.Cluster(1))
	let := make(chan struct{})
	var once sync.Once
	var delivered uint64
	c, err := network.Capture(func(topo.Frame) {
		<-let
		delivered++
	})
	require.NoError(t, err)
	t.Cleanup(func() { once.Do(func() { close(let) }) })

	sent := uint64(0)
	for ; c.Lost() < 10; sent++ {
		require.Less(t, sent, uint64(1<<16), "the ring is never full")
		send(t, machine(t, network, "client"), machine(t, network, "node1").IPv4(), string(make([]byte, 1400)))
	}
	// The first frame is still being delivered, so Sync has something to wait for.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, c.Sync(ctx), context.Canceled, "who waits may give up")
	once.Do(func() { close(let) })
	require.Eventually(t, func() bool {
		require.NoError(t, c.Sync(context.Background()))
		return 2*sent == delivered+c.Lost()
	}, patience, time.Millisecond)
}

func TestSyncIsForManyAtOnce(t *testing.T) {
	t.Parallel()
	network := up(t, topo.Cluster(2))
	tape := capture(t, network)
	var group sync.WaitGroup
	for _, name := range []string{"node1", "client", "web-on-node1", "web-on-node2"} {
		group.Go(func() {
			for i := range 50 {
				send(t, machine(t, network, name), machine(t, network, "node2").IPv4(), fmt.Sprintf("%s %d", name, i))
				if sent := fmt.Sprintf("%s %d", name, i); len(tape.seen(t, sent)) == 0 {
					t.Errorf("%q was not delivered by Sync", sent)
				}
			}
		})
	}
	group.Wait()
}
