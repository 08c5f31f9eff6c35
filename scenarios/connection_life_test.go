package scenarios

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/ebpf"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// forever keeps every flow; set to 0 what is to go at once.
var forever = bpf.Timeouts{
	Opening: time.Hour, Established: time.Hour, HalfClosed: time.Hour, Closed: time.Hour, UDP: time.Hour, ICMP: time.Hour,
}

// flowsOf are the entries of what a client opened by way of a node. (Others are there: what earlier connections say last.)
func flowsOf(t testing.TB, node *bpf.Node, client netip.AddrPort) (its []bpf.Flow) {
	t.Helper()
	flows, err := node.Flows()
	require.NoError(t, err)
	for _, f := range flows {
		if f.Src == client || f.To.Dst == client {
			its = append(its, f)
		}
	}
	return its
}

// flowFrom is the one flow that a client opened by way of a node, which mirrors that of its answers.
func flowFrom(t testing.TB, node *bpf.Node, client netip.AddrPort) bpf.Flow {
	t.Helper()
	flows := flowsOf(t, node, client)
	require.Len(t, flows, 2)
	forward, reply := flows[0], flows[1]
	if forward.Reply {
		forward, reply = reply, forward
	}
	require.Equal(t, forward.To.Reverse(), reply.Tuple)
	require.Equal(t, forward.State, reply.State)
	return forward
}

// S14: the life of a connection as conntrack tells it: who opens it, who closes it
// first, who last; and after its time it is gone.
func TestConnectionLife(t *testing.T) {
	t.Parallel()
	harness.Datapaths{ebpf.Datapath(), withoutXDP}.Run(t, topo.Cluster(2), func(t *testing.T, lab *harness.Lab) {
		client, node1, web := lab.Host("client"), lab.Node("node1"), lab.Pod("web-on-node2")
		node := ebpf.Programs(t, lab, "node1")
		lab.AddService(t, harness.NodePort(30080, packet.TCPPort(80), web))
		for _, c := range []struct {
			name string
			end  func(t *testing.T, client, server *net.TCPConn)
			want bpf.State
		}{
			{"established", func(*testing.T, *net.TCPConn, *net.TCPConn) {}, bpf.Established},
			{"half closed by the client", func(t *testing.T, client, server *net.TCPConn) {
				require.NoError(t, client.CloseWrite())
				requireEnd(t, server)
			}, bpf.HalfClosed},
			{"half closed by the server", func(t *testing.T, client, server *net.TCPConn) {
				require.NoError(t, server.CloseWrite())
				requireEnd(t, client)
				say(t, client, server)
			}, bpf.HalfClosed},
			{"closed", func(t *testing.T, client, server *net.TCPConn) {
				require.NoError(t, client.CloseWrite())
				requireEnd(t, server)
				say(t, server, client)
				require.NoError(t, server.CloseWrite())
				requireEnd(t, client)
			}, bpf.Closed},
			{"reset", func(t *testing.T, client, server *net.TCPConn) {
				require.NoError(t, client.SetLinger(0))
				require.NoError(t, client.Close())
				_, err := server.Read(make([]byte, 1))
				require.ErrorContains(t, err, "reset")
			}, bpf.Closed},
		} {
			t.Run(c.name, func(t *testing.T) {
				require.NoError(t, lab.Forget(t.Context()))
				listener := web.Listen(t, 80)
				conn := client.Dial(t, "tcp", node1.AddrPort(30080)).(*net.TCPConn)
				accepted, err := listener.Accept()
				require.NoError(t, err)
				server := accepted.(*net.TCPConn)
				defer server.Close()
				say(t, conn, server)
				say(t, server, conn)
				from := conn.LocalAddr().(*net.TCPAddr).AddrPort()
				c.end(t, conn, server)

				flow := flowFrom(t, node, from)
				require.Equal(t, c.want, flow.State)
				require.NotZero(t, bpf.DefaultTimeouts.Of(flow))

				_, err = node.ExpireFlows(forever)
				require.NoError(t, err)
				flowFrom(t, node, from) // its time is not over
				now := forever
				switch c.want {
				case bpf.Established:
					now.Established = 0
				case bpf.HalfClosed:
					now.HalfClosed = 0
				case bpf.Closed:
					now.Closed = 0
				}
				_, err = node.ExpireFlows(now)
				require.NoError(t, err)
				require.Empty(t, flowsOf(t, node, from), "its time is over")
			})
		}
	})
}

// say has one end of a connection send a byte to the other.
func say(t *testing.T, from, to net.Conn) {
	t.Helper()
	_, err := from.Write([]byte("!"))
	require.NoError(t, err)
	require.NoError(t, to.SetReadDeadline(time.Now().Add(patience)))
	_, err = io.ReadFull(to, make([]byte, 1))
	require.NoError(t, err)
}

// requireEnd fails unless the other side has said all.
func requireEnd(t *testing.T, conn net.Conn) {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	_, err := conn.Read(make([]byte, 1))
	require.Equal(t, io.EOF, err)
}
