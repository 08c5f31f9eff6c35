package harness_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/feature"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// kernel is the datapath that is there anyway: the nodes' kernels route.
type kernel struct{}

func (kernel) Name() string                { return "kernel" }
func (kernel) Needs() []*feature.Feature   { return nil }
func (kernel) LeavesQuotedChecksums() bool { return false }
func (kernel) Up(context.Context, *topo.Network, func(harness.Hop)) (harness.Forwarder, error) {
	return kernel{}, nil
}
func (kernel) Serve(context.Context, []harness.Service) error { return nil }
func (kernel) Forget(context.Context) error                   { return nil }
func (kernel) Drops() (map[string]map[string]uint64, error)   { return nil, nil }
func (kernel) Lost() (map[string]uint64, error)               { return nil, nil }
func (kernel) Phases() []topo.Phase                           { return nil }
func (kernel) Sync(context.Context) error                     { return nil }
func (kernel) Close() error                                   { return nil }

// failing stands in for the test that a helper fails: it keeps what was said, and
// ends the helper's goroutine as FailNow does.
type failing struct {
	testing.TB
	said []string
}

func (f *failing) Helper() {}
func (f *failing) Fatal(args ...any) {
	f.said = append(f.said, fmt.Sprint(args...))
	panic(f)
}
func (f *failing) Fatalf(format string, args ...any) { f.Fatal(fmt.Sprintf(format, args...)) }

// failure returns what a call says when it fails the test, and fails t if it does not.
func failure(t *testing.T, call func(testing.TB)) (said string) {
	t.Helper()
	f := &failing{TB: t}
	func() {
		defer func() {
			if r := recover(); r != nil && r != any(f) {
				panic(r)
			}
		}()
		call(f)
	}()
	require.NotEmpty(t, f.said, "the call must fail")
	return strings.Join(f.said, "\n")
}

func TestPacketsArriveAndAreTraced(t *testing.T) {
	t.Parallel()
	harness.Datapaths{kernel{}}.Run(t, topo.Cluster(2), func(t *testing.T, lab *harness.Lab) {
		client, web := lab.Pod("client-on-node1"), lab.Pod("web-on-node2")
		client.Send(t, packet.UDP{Dst: web.AddrPort(53), Payload: []byte("question")})
		question := web.Expect(t, packet.UDP{Dst: web.AddrPort(53), Payload: []byte("question")})
		lab.Trace(t, question).
			Passed(t, "client-on-node1/eth0 out", "node1/lxc-client in", "node1/eth0 out", "node2/eth0 in", "node2/lxc-web out", "web-on-node2/eth0 in").
			Never(t, "node2/lxc-web in", "web-on-node1/eth0")
		web.Send(t, question.ReplyWith([]byte("answer")))
		client.Expect(t, packet.UDP{Src: web.AddrPort(53), Payload: []byte("answer")})
		client.ExpectNone(t, packet.UDP{Src: web.AddrPort(53)})
	})
}

// What the network cannot take down is told: here a control group, which stays as long as a process is in it.
func TestCloseTellsWhatIsLeft(t *testing.T) {
	t.Parallel()
	feature.Need(t, feature.CgroupFolders)
	lab, err := harness.New(t.Context(), topo.Cluster(1), kernel{}, harness.Unobserved())
	require.NoError(t, err)
	cat := exec.Command("cat") // until its input ends
	input, err := cat.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, lab.Pod("web-on-node1").Network().Start(cat))
	require.ErrorContains(t, lab.Close(), "a process that was started there still runs")
	require.NoError(t, input.Close())
	require.NoError(t, cat.Wait())
	require.NoError(t, lab.Close())
}

// What netfilter saw and nobody could read in time may have been the hop that is denied.
func TestNeverIsNotSaidOfLostHops(t *testing.T) {
	t.Parallel()
	lab, err := harness.New(t.Context(), topo.Cluster(2), kernel{}) // not Start, which fails a test whose capture lost frames
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, lab.Close()) })
	from, to := lab.Pod("client-on-node1"), lab.Pod("web-on-node2")
	from.Send(t, packet.UDP{Dst: to.AddrPort(53)})
	sent := to.Expect(t, packet.UDP{Dst: to.AddrPort(53)})
	trace := lab.Trace(t, sent).Never(t, "node1 netfilter raw OUTPUT")

	release := harness.HoldRecording(lab)
	payload := make([]byte, 1400)
	for range 3000 { // each is seen several times on node1: more than the kernel keeps for a reader
		from.Send(t, packet.UDP{Dst: to.AddrPort(53), Payload: payload})
	}
	release()
	require.Contains(t, failure(t, func(t testing.TB) { trace.Never(t, "node1 netfilter raw OUTPUT") }), "nobody can tell")
	trace.Never(t, "node2/lxc-web in")
}

// losing is a datapath that cannot report all that happens on node 1.
type losing struct{ kernel }

func (losing) Lost() (map[string]uint64, error) { return map[string]uint64{"node1": 3}, nil }
func (losing) Up(context.Context, *topo.Network, func(harness.Hop)) (harness.Forwarder, error) {
	return losing{}, nil
}

func TestNeverIsNotSaidOfWhatADatapathLost(t *testing.T) {
	t.Parallel()
	lab := harness.Start(t, topo.Cluster(2), losing{})
	from, to := lab.Pod("client-on-node1"), lab.Pod("web-on-node2")
	from.Send(t, packet.UDP{Dst: to.AddrPort(53)})
	trace := lab.Trace(t, to.Expect(t, packet.UDP{Dst: to.AddrPort(53)}))
	for _, hop := range []string{"node1/eth0 xdp DROP", "node1/eth0"} {
		require.Contains(t, failure(t, func(t testing.TB) { trace.Never(t, hop) }), "nobody can tell, since node1's kernel datapath", hop)
	}
	trace.Never(t, "node2/eth0 xdp", "node1/lxc-web in", "node1 netfilter raw OUTPUT")
}

// A crafted packet is for the test to answer: the kernel of the machine that
// receives it says nothing.
func TestKernelsLeaveCraftedPacketsAlone(t *testing.T) {
	t.Parallel()
	harness.Datapaths{kernel{}}.Run(t, topo.Cluster(1), func(t *testing.T, lab *harness.Lab) {
		client, web := lab.Pod("client-on-node1"), lab.Pod("web-on-node1")
		for _, request := range []packet.Template{
			packet.TCP{Dst: web.AddrPort(80), Flags: packet.SYN},
			packet.UDP{Dst: web.AddrPort(80)},
			packet.Echo{Dst: web.Addr()},
		} {
			client.Send(t, request)
			web.Expect(t, request)
		}
		client.ExpectNone(t, packet.Layers{})
	})
}

func TestSocketsOpenInsideMachines(t *testing.T) {
	t.Parallel()
	harness.Datapaths{kernel{}}.Run(t, topo.Cluster(2), func(t *testing.T, lab *harness.Lab) {
		client, web := lab.Pod("client-on-node1"), lab.Pod("web-on-node2")
		web.ServeHTTP(t, 80, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RemoteAddr) }))
		require.Contains(t, client.Get(t, web.AddrPort(80)), client.Addr().String(), "the server sees the pod's own address")
		require.Positive(t, client.Ping(t, web.Addr()))

		datagrams := web.ListenPacket(t, 53)
		io.WriteString(client.Dial(t, "udp", web.AddrPort(53)), "over there")
		buf := make([]byte, 100)
		require.NoError(t, datagrams.SetDeadline(time.Now().Add(5*time.Second)))
		n, _, err := datagrams.ReadFrom(buf)
		require.NoError(t, err)
		require.Equal(t, "over there", string(buf[:n]))
	})
}

// What a failed expectation prints: got beside want, the way of the packet, and
// where the capture lies.
func TestFailuresTellWhatHappened(t *testing.T) {
	t.Parallel()
	lab := harness.Start(t, topo.Cluster(1), kernel{}, harness.Timeout(100*time.Millisecond))
	client, web := lab.Pod("client-on-node1"), lab.Pod("web-on-node1")
	sent := client.Send(t, packet.TCP{Dst: web.AddrPort(80), Flags: packet.SYN})
	require.NoError(t, lab.Sync(t.Context()))
	lab.Trace(t, sent).Passed(t, "web-on-node1/eth0 in")

	said := failure(t, func(t testing.TB) { web.Expect(t, packet.TCP{Dst: web.AddrPort(8080), Flags: packet.SYN}) })
	for _, part := range []string{"TCP.Dst", "8080", "node1/lxc-client in", "web-on-node1/eth0 in", ".pcapng"} {
		require.Contains(t, said, part)
	}
	_, path, _ := strings.Cut(said, "capture: ")
	capture, err := os.Stat(strings.TrimSpace(path))
	require.NoError(t, err)
	require.NotZero(t, capture.Size())
	t.Cleanup(func() { os.Remove(strings.TrimSpace(path)) })

	said = failure(t, func(t testing.TB) { lab.Trace(t, sent).Passed(t, "node1/eth0 out") })
	require.Contains(t, said, `did not pass "node1/eth0 out"`)
	said = failure(t, func(t testing.TB) { lab.Trace(t, sent).Never(t, "node1/lxc-web") })
	require.Contains(t, said, `passed "node1/lxc-web"`)
	said = failure(t, func(t testing.TB) { web.ExpectNone(t, packet.TCP{Dst: web.AddrPort(80)}) })
	require.Contains(t, said, "must not")

	lab = harness.Start(t, topo.Cluster(1), kernel{}) // with time for an answer
	client, web = lab.Pod("client-on-node1"), lab.Pod("web-on-node1")
	client.Send(t, packet.UDP{Dst: web.AddrPort(53)})
	require.NoError(t, lab.Sync(t.Context())) // so that there is something to write
	said = failure(t, func(t testing.TB) { client.Get(t, web.AddrPort(8080)) })
	require.Contains(t, said, "connection refused\ncapture: ")
}

// leaving is a datapath that says that it leaves quoted checksums as they were.
type leaving struct{ kernel }

func (leaving) LeavesQuotedChecksums() bool { return true }

// ending stands in for a test that a lab may fail at its end.
type ending struct {
	testing.TB
	atEnd []func()
	said  []string
}

func (e *ending) Cleanup(f func()) { e.atEnd = append(e.atEnd, f) }
func (e *ending) Errorf(format string, args ...any) {
	e.said = append(e.said, fmt.Sprintf(format, args...))
}
func (e *ending) Failed() bool { return false } // no capture is to be kept

// A stale checksum in a quote is blamed on every datapath but those that say that
// they leave it, where a packet is expected and where it is only seen; any other
// wrong one on those too.
func TestQuotedChecksums(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		datapath harness.Datapath
		wrong    func(about packet.ICMP) packet.ICMP
		blamed   string
	}{
		{"left", leaving{}, staleQuote, ""},
		{"not left", kernel{}, staleQuote, "quoted TCP checksum is 0xdead"},
		{"outside of the quote", leaving{}, func(about packet.ICMP) packet.ICMP { about.Checksum = 0xdead; return about }, "ICMP checksum is 0xdead"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			end := &ending{TB: t}
			lab := harness.Start(end, topo.Cluster(1), c.datapath)
			client, web := lab.Pod("client-on-node1"), lab.Pod("web-on-node1")
			about := packet.ICMP{Dst: web.Addr(), Type: packet.ICMPTimeExceeded, Embedded: packet.TCP{Dst: client.AddrPort(80)}}
			client.Send(t, c.wrong(about))
			expect := func(t testing.TB) { web.Expect(t, packet.ICMP{Type: packet.ICMPTimeExceeded}) }
			if c.blamed == "" {
				expect(t)
			} else {
				require.Contains(t, failure(t, expect), c.blamed)
			}
			for _, f := range end.atEnd {
				f()
			}
			require.Equal(t, c.blamed != "", len(end.said) == 1, "%q", end.said)
			require.Contains(t, strings.Join(end.said, ""), c.blamed)
		})
	}
}

func staleQuote(about packet.ICMP) packet.ICMP {
	quoted := about.Embedded.(packet.TCP)
	quoted.Checksum = 0xdead
	about.Embedded = quoted
	return about
}

// Slips of the pen are errors, and name the thing.
func TestMistakesAreNamed(t *testing.T) {
	t.Parallel()
	lab := harness.Start(t, topo.Cluster(1), kernel{})
	sent := lab.Pod("web-on-node1").Send(t, packet.UDP{Dst: lab.Node("node1").AddrPort(9)})
	lab.Trace(t, sent).Passed(t, "node1/lxc-web in")
	for name, c := range map[string]struct {
		call func(testing.TB)
		says string
	}{
		"no such pod":           {func(t testing.TB) { lab.Pod("web-on-node9").Expect(t, packet.TCP{}) }, `no pod "web-on-node9"`},
		"not a pod":             {func(t testing.TB) { lab.Pod("node1").Expect(t, packet.TCP{}) }, `"node1" is a node`},
		"no such device":        {func(t testing.TB) { lab.Trace(t, sent).Never(t, "node1/eht0 in") }, "eht0"},
		"no such machine":       {func(t testing.TB) { lab.Trace(t, sent).Never(t, "nod1 netfilter") }, "nod1"},
		"a device of netfilter": {func(t testing.TB) { lab.Trace(t, sent).Never(t, "node1/eth0 netfilter") }, `write "node1 netfilter"`},
		"netfilter of a pod":    {func(t testing.TB) { lab.Trace(t, sent).Never(t, "web-on-node1 netfilter nat") }, "web-on-node1 is a pod"},
		"a capture's device":    {func(t testing.TB) { lab.Trace(t, sent).Never(t, "node1 in") }, `write "node1/eth0 in"`},
		"a machine alone":       {func(t testing.TB) { lab.Trace(t, sent).Never(t, "node1") }, `passed "node1" (as "node1/lxc-web in")`},
		"sent to no such pod": {func(t testing.TB) {
			lab.Node("node1").Send(t, packet.UDP{Dst: lab.Pod("wbe").AddrPort(9)})
		}, `no pod "wbe"`},
	} {
		t.Run(name, func(t *testing.T) { require.Contains(t, failure(t, c.call), c.says) })
	}
}

func TestNetworkOfNoMachineSaysSo(t *testing.T) {
	t.Parallel()
	lab := harness.Start(t, topo.Cluster(1), kernel{})
	require.PanicsWithValue(t, `harness: the lab has no pod "wbe": it has node1, web-on-node1, client-on-node1, client`, func() { lab.Pod("wbe").Network() })
}

// What the documentation shows holds.
func TestExample(t *testing.T) {
	t.Parallel()
	ExampleDatapath()
	exampleTest(t)
}
