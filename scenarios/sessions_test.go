package scenarios

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/ebpf"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// redirecting moves the data of TCP sessions between pods of one node from socket to socket.
var redirecting = harness.Datapaths{ebpf.Datapath(ebpf.WithSocketRedirect())}

// K1: once a session between two pods of one node is established, no device carries any of its data.
func TestLocalSessionPassesNoDevice(t *testing.T) {
	t.Parallel()
	redirecting.Run(t, topo.Cluster(1), func(t *testing.T, lab *harness.Lab) {
		client, web := lab.Pod("client-on-node1"), lab.Pod("web-on-node1")
		here, there := establish(t, client, web)
		wire, before := watch(t, lab), messages(t, lab, "node1")
		request, answer := text(300_000), text(200_000)
		exchange(t, here, there, request)
		exchange(t, there, here, answer)
		require.Zero(t, wire.payload(t), "bytes on devices")
		after := messages(t, lab, "node1")
		require.Equal(t, before[bpf.MessageRedirected].Bytes+uint64(len(request)+len(answer)), after[bpf.MessageRedirected].Bytes)
	})
}

// K1: a redirected session ends as TCP's do: one direction after the other, with nothing lost, or all at once.
func TestLocalSessionEnds(t *testing.T) {
	t.Parallel()
	redirecting.Run(t, topo.Cluster(1), func(t *testing.T, lab *harness.Lab) {
		client, web := lab.Pod("client-on-node1"), lab.Pod("web-on-node1")
		t.Run("half-closed", func(t *testing.T) {
			here, there := establish(t, client, web)
			request, answer := text(20_000), text(30_000)
			_, err := here.Write(request)
			require.NoError(t, err)
			require.NoError(t, here.CloseWrite())
			requireText(t, request, there) // the FIN came before it was read
			_, err = there.Write(answer)
			require.NoError(t, err)
			require.NoError(t, there.Close())
			requireText(t, answer, here)
		})
		t.Run("reset", func(t *testing.T) {
			here, there := establish(t, client, web)
			exchange(t, here, there, text(1000))
			require.NoError(t, here.SetLinger(0))
			require.NoError(t, here.Close())
			_, err := there.Read(make([]byte, 1))
			require.ErrorIs(t, err, syscall.ECONNRESET)
		})
	})
}

// K1: whoever writes faster than the other end reads is held up, once a bounded number of bytes waits, and goes on when
// the reader does.
func TestLocalSessionHoldsItsWriterUp(t *testing.T) {
	t.Parallel()
	// What finds no room goes through the stack: more frames than a capture could take.
	lab := harness.Start(t, topo.Cluster(1), redirecting[0], harness.Unobserved())
	for name, lab := range map[string]*harness.Lab{"IPv4": lab, "IPv6": lab.IPv6()} {
		t.Run(name, func(t *testing.T) {
			here, there := establish(t, lab.Pod("client-on-node1"), lab.Pod("web-on-node1"))
			require.NoError(t, here.SetWriteBuffer(64<<10))
			data := text(16 << 20)
			require.NoError(t, here.SetWriteDeadline(time.Now().Add(100*time.Millisecond)))
			waiting, err := here.Write(data)
			require.ErrorIs(t, err, os.ErrDeadlineExceeded, "%d bytes were taken while nobody read", waiting)
			require.Less(t, waiting, 4<<20, "bytes that wait")
			require.NoError(t, here.SetWriteDeadline(time.Time{}))
			wrote := make(chan error, 1)
			go func() {
				_, err := here.Write(data[waiting:])
				wrote <- errors.Join(err, here.CloseWrite())
			}()
			requireText(t, data, there)
			require.NoError(t, <-wrote)
		})
	}
}

// K1: a session that leads to a service is redirected where the socket itself leads to the backend; where packets are
// translated, they are on the wire.
func TestSessionWithAService(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		datapath   harness.Datapath
		redirected bool
	}{
		"by socket":        {ebpf.Datapath(ebpf.WithSocketRedirect()), true},
		"packet by packet": {ebpf.Datapath(ebpf.WithSocketRedirect(), ebpf.WithoutSockets()), false},
	} {
		t.Run(name, func(t *testing.T) {
			harness.Datapaths{c.datapath}.Run(t, topo.Cluster(1), func(t *testing.T, lab *harness.Lab) {
				client, web := lab.Pod("client-on-node1"), lab.Pod("web-on-node1")
				service := lab.AddService(t, harness.ClusterIP(packet.TCPPort(8080), 80, web))
				listener := web.Listen(t, 80)
				here, there := client.Dial(t, "tcp", service.AddrPort()).(*net.TCPConn), accepted(t, listener)
				wire := watch(t, lab)
				exchange(t, here, there, text(10_000))
				exchange(t, there, here, text(10_000))
				if c.redirected {
					require.Zero(t, wire.payload(t), "bytes on devices")
				} else {
					require.GreaterOrEqual(t, wire.payload(t), 20_000)
				}
			})
		})
	}
}

// K2: a session with a pod of another node, or one that a policy binds, is on the wire.
func TestOtherSessionsAreOnTheWire(t *testing.T) {
	t.Parallel()
	bound := harness.Datapaths{ebpf.Datapath(ebpf.WithSocketRedirect("web-on-node1"))}
	bound.Run(t, topo.Cluster(2), func(t *testing.T, lab *harness.Lab) {
		client := lab.Pod("client-on-node1")
		for name, web := range map[string]*harness.Machine{"remote": lab.Pod("web-on-node2"), "bound by a policy": lab.Pod("web-on-node1")} {
			t.Run(name, func(t *testing.T) {
				wire, before := watch(t, lab), messages(t, lab, "node1")
				here, there := establish(t, client, web)
				request := text(20_000)
				exchange(t, here, there, request)
				exchange(t, there, here, request)
				sent := 0
				for _, p := range wire.sentBy(t, client) {
					tcp, _ := p.TCP()
					sent += len(tcp.Payload)
				}
				require.GreaterOrEqual(t, sent, len(request))
				require.Equal(t, before, messages(t, lab, "node1"), "no message was looked at")
			})
		}
	})
}

// establish opens a session between two pods, for both ends of which the handshake is over.
func establish(t testing.TB, client, server *harness.Machine) (here, there *net.TCPConn) {
	t.Helper()
	listener := server.Listen(t, 0)
	to := server.AddrPort(uint16(listener.Addr().(*net.TCPAddr).Port))
	return client.Dial(t, "tcp", to).(*net.TCPConn), accepted(t, listener)
}

func accepted(t testing.TB, listener net.Listener) *net.TCPConn {
	t.Helper()
	conn, err := listener.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.TCPConn)
}

// exchange writes to one end and reads at the other.
func exchange(t testing.TB, from, to *net.TCPConn, data []byte) {
	t.Helper()
	wrote := make(chan error, 1)
	go func() { _, err := from.Write(data); wrote <- err }()
	got := make([]byte, len(data))
	require.NoError(t, to.SetReadDeadline(time.Now().Add(patience)))
	_, err := io.ReadFull(to, got)
	require.NoError(t, err)
	require.NoError(t, <-wrote)
	require.NoError(t, to.SetReadDeadline(time.Time{}))
	require.True(t, bytes.Equal(data, got), "other bytes arrived")
}

// requireText reads until the other end has closed its direction.
func requireText(t testing.TB, want []byte, from *net.TCPConn) {
	t.Helper()
	got, err := io.ReadAll(from)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got), "%d bytes arrived of %d, or others", len(got), len(want))
}

// text is n bytes, no stretch of which repeats soon.
func text(n int) []byte {
	data := make([]byte, n)
	x := uint32(n)
	for i := range data {
		x = x*1664525 + 1013904223
		data[i] = byte(x >> 24)
	}
	return data
}

// payload is how many bytes TCP packets carried, on all devices together.
func (c carried) payload(t testing.TB) (bytes int) {
	t.Helper()
	for _, f := range c.lab.Frames(t)[c.before:] {
		p, err := packet.Decode(f.Data)
		require.NoError(t, err)
		if tcp, ok := p.TCP(); ok {
			bytes += len(tcp.Payload)
		}
	}
	return bytes
}

// messages are those of a node's followed sessions so far, by the way that they went.
func messages(t testing.TB, lab *harness.Lab, node string) map[bpf.MessageWay]bpf.Traffic {
	t.Helper()
	metrics, err := ebpf.SessionMetrics(lab)
	require.NoError(t, err)
	return metrics[node].Messages
}
