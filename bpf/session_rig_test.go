package bpf_test

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/harness/socket"
	"github.com/skbench/skbench/topo"
)

// sessions is node 1 on a real network, with the TCP sessions of its pods a and b followed. Pod c is on node 2: to it,
// sessions are what TCP makes of them. The kernel routes.
type sessions struct {
	*bpf.Node
	network  *topo.Network
	sockets  map[string]*socket.Process
	followed *topo.Attachment
	carried  atomic.Int64 // bytes of TCP payload seen on devices, once capture was called
}

func newSessions(t testing.TB, options bpf.Options, changes ...func(*bpf.Endpoint)) *sessions {
	if err := bpf.CanRedirectSessions(); err != nil {
		t.Skip(err)
	}
	topology := topo.Topology{}
	topology.AddNode("node1")
	topology.AddNode("node2")
	topology.AddPod("a", "node1")
	topology.AddPod("b", "node1")
	topology.AddPod("c", "node2")
	network, err := topo.Up(t.Context(), topology)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, network.Close()) })
	s := &sessions{network: network, sockets: map[string]*socket.Process{}}

	s.Node, err = bpf.LoadSessions(options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	for _, pod := range topology.Pods[:2] {
		endpoint := bpf.Endpoint{Device: 1, MAC: pod.MAC, DeviceMAC: pod.DeviceMAC, IPv4: pod.IPv4, IPv6: pod.IPv6}
		for _, change := range changes {
			change(&endpoint)
		}
		require.NoError(t, s.PutEndpoint(endpoint))
	}
	s.followed = s.follow(t, s.Node)
	for _, pod := range topology.Pods {
		machine, _ := network.Machine(pod.Name)
		s.sockets[pod.Name], err = socket.Start(pod.Name, machine.Start)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.sockets[pod.Name].Close()) })
	}
	return s
}

// follow has a node's programs follow the sessions of node 1.
func (s *sessions) follow(t testing.TB, node *bpf.Node) *topo.Attachment {
	t.Helper()
	require.Len(t, node.Programs.Sockets, 1)
	node1, _ := s.network.Machine("node1")
	attachment, err := node1.AttachCgroup(node.Programs.Sockets[0].Program, node.Programs.Sockets[0].Place)
	require.NoError(t, err)
	t.Cleanup(func() { attachment.Close() })
	return attachment
}

func (s *sessions) addr(pod string, f family) netip.Addr {
	machine, _ := s.network.Machine(pod)
	if f == v6 {
		return machine.IPv6()
	}
	return machine.IPv4()
}

// patience is how long a conversation between sockets may take before the test is told where it hangs.
const patience = 20 * time.Second

// listen opens a listener on a free port of a pod.
func (s *sessions) listen(t testing.TB, f family, pod string) net.Listener {
	t.Helper()
	listener, err := s.sockets[pod].Listen(t.Context(), "tcp", netip.AddrPortFrom(s.addr(pod, f), 0).String())
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	return listener
}

func (s *sessions) dial(t testing.TB, from string, to net.Addr) *net.TCPConn {
	t.Helper()
	conn, err := s.sockets[from].Dial(t.Context(), "tcp", to.String())
	require.NoError(t, err)
	return ours(t, conn)
}

func accept(t testing.TB, listener net.Listener) *net.TCPConn {
	t.Helper()
	conn, err := listener.Accept()
	require.NoError(t, err)
	return ours(t, conn)
}

func ours(t testing.TB, conn net.Conn) *net.TCPConn {
	t.Helper()
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	return conn.(*net.TCPConn)
}

// connect returns both ends of a new session.
func (s *sessions) connect(t testing.TB, f family, from, to string) (client, server *net.TCPConn) {
	t.Helper()
	listener := s.listen(t, f, to)
	client = s.dial(t, from, listener.Addr())
	return client, accept(t, listener)
}

// capture begins to count what devices carry.
func (s *sessions) capture(t testing.TB) *topo.Capture {
	t.Helper()
	capture, err := s.network.Capture(func(frame topo.Frame) {
		if p, err := packet.Decode(frame.Data); err == nil {
			if tcp, ok := p.TCP(); ok {
				s.carried.Add(int64(len(tcp.Payload)))
			}
		}
	})
	require.NoError(t, err)
	return capture
}

// went returns the messages since the last call, by their ways.
func (s *sessions) went(t testing.TB, since *bpf.SessionMetrics) map[bpf.MessageWay]uint64 {
	t.Helper()
	now, err := s.SessionMetrics()
	require.NoError(t, err)
	messages := map[bpf.MessageWay]uint64{}
	for way, traffic := range now.Messages {
		if n := traffic.Messages - since.Messages[way].Messages; n != 0 {
			messages[way] = n
		}
	}
	*since = now
	return messages
}

// peers are where pod a's sessions lead: what TCP does there must be what happens here.
var peers = []struct{ name, pod string }{{"same node", "b"}, {"other node", "c"}}

// eachSession tells a story of a new session between pod a and a pod of the same node, and between it and one of another.
func (s *sessions) eachSession(t *testing.T, story func(t *testing.T, client, server *net.TCPConn)) {
	for _, f := range families {
		for _, peer := range peers {
			t.Run(fmt.Sprintf("%s/%s", f, peer.name), func(t *testing.T) {
				client, server := s.connect(t, f, "a", peer.pod)
				story(t, client, server)
			})
		}
	}
}

// stream is n bytes in which no stretch of any length repeats soon.
func stream(n int) []byte {
	data := make([]byte, n)
	x := uint64(n)
	for i := range data {
		x = x*6364136223846793005 + 1442695040888963407
		data[i] = byte(x >> 56)
	}
	return data
}

// same fails with the place of the first difference.
func same(t testing.TB, want, got []byte) {
	t.Helper()
	if bytes.Equal(want, got) {
		return
	}
	at := 0
	for at < min(len(want), len(got)) && want[at] == got[at] {
		at++
	}
	found := bytes.Index(want, got[at:min(at+16, len(got))])
	require.Failf(t, "another stream", "%d bytes arrived of %d; the first wrong one is byte %d, and belongs to place %d", len(got), len(want), at, found)
}
