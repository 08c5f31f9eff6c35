package bpf_test

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/bpf"
)

// TestSessionsAreTCP tells the stories that TCP's users rely on, of a redirected session and of one that is not.
func TestSessionsAreTCP(t *testing.T) {
	t.Parallel()
	s := newSessions(t, bpf.Options{Sizes: smallMaps})

	t.Run("both directions at once", func(t *testing.T) {
		s.eachSession(t, func(t *testing.T, client, server *net.TCPConn) {
			there, back := stream(3<<20), stream(2<<20)
			write(t, client, there)
			write(t, server, back)
			gotBack := make(chan []byte)
			go func() { got, _ := io.ReadAll(client); gotBack <- got }()
			got, err := io.ReadAll(server)
			require.NoError(t, err)
			same(t, there, got)
			same(t, back, <-gotBack)
		})
	})

	t.Run("half-closed", func(t *testing.T) {
		s.eachSession(t, func(t *testing.T, client, server *net.TCPConn) {
			question, answer := stream(20000), stream(30000)
			write(t, client, question)
			got, err := io.ReadAll(server)
			require.NoError(t, err)
			same(t, question, got)
			_, err = client.Write([]byte("more"))
			require.ErrorIs(t, err, syscall.EPIPE)
			write(t, server, answer)
			got, err = io.ReadAll(client)
			require.NoError(t, err)
			same(t, answer, got)
		})
	})

	// The FIN goes through the stack, past what the reader has not come to yet.
	t.Run("closed before it is read", func(t *testing.T) {
		s.eachSession(t, func(t *testing.T, client, server *net.TCPConn) {
			data := stream(40000)
			_, err := client.Write(data)
			require.NoError(t, err)
			require.NoError(t, client.Close())
			poll(t, server, unix.POLLRDHUP)
			got, err := io.ReadAll(server)
			require.NoError(t, err)
			same(t, data, got)
		})
	})

	t.Run("reset before it is read", func(t *testing.T) {
		s.eachSession(t, func(t *testing.T, client, server *net.TCPConn) {
			data := stream(10000)
			_, err := client.Write(data)
			require.NoError(t, err)
			peek(t, server, len(data))
			require.NoError(t, client.SetLinger(0))
			require.NoError(t, client.Close())
			poll(t, server, unix.POLLERR)
			got, err := io.ReadAll(server)
			require.ErrorIs(t, err, syscall.ECONNRESET)
			same(t, data, got)
		})
	})

	t.Run("closed by a reader that has not read", func(t *testing.T) {
		s.eachSession(t, func(t *testing.T, client, server *net.TCPConn) {
			_, err := client.Write(stream(10000))
			require.NoError(t, err)
			peek(t, server, 1)
			require.NoError(t, server.Close())
			for err == nil { // the first that finds nobody may still be accepted
				_, err = client.Write([]byte("anyone there?"))
			}
			require.Truef(t, errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET), "%v", err)
		})
	})

	t.Run("one huge write", func(t *testing.T) {
		s.eachSession(t, func(t *testing.T, client, server *net.TCPConn) {
			data := stream(24 << 20)
			write(t, client, data)
			got, err := io.ReadAll(server)
			require.NoError(t, err)
			same(t, data, got)
		})
	})

	// A writer is held up once buffers are full, and goes on as soon as the reader does. In a buffer that the program has
	// sized, no more than a quarter is redirected data: the rest is for segments that the stack has offered to take. (How many
	// are dropped says nothing: where buffers are that small, the stack drops some of its own, without any redirecting.)
	t.Run("slow reader", func(t *testing.T) {
		for name, buffer := range map[string]int{"buffers of the kernel's choice": 0, "buffers of the program's choice": 64 << 10} {
			t.Run(name, func(t *testing.T) {
				s.eachSession(t, func(t *testing.T, client, server *net.TCPConn) {
					most := 4 << 20 // beside what net.ipv4.tcp_wmem lets a writer have
					room := 1 << 20
					if buffer != 0 {
						require.NoError(t, client.SetWriteBuffer(buffer))
						require.NoError(t, server.SetReadBuffer(buffer))
						most = 8 * buffer
						room = 2 * buffer / 4 // the kernel gives twice what one asks for
					}
					data := stream(8 << 20)
					var m bpf.SessionMetrics
					s.went(t, &m)
					redirected := m.Messages[bpf.MessageRedirected].Bytes
					accepted := fill(t, client, data)
					require.Less(t, accepted, most, "bytes that were taken while nobody read")
					s.went(t, &m)
					redirected = m.Messages[bpf.MessageRedirected].Bytes - redirected
					require.LessOrEqual(t, redirected, uint64(room), "bytes that were redirected while nobody read")
					write(t, client, data[accepted:])
					got, err := io.ReadAll(server)
					require.NoError(t, err)
					same(t, data, got)
				})
			})
		}
	})

	for name, send := range map[string]func(fd int) error{
		"sendto":   func(fd int) error { return unix.Sendto(fd, []byte("!"), unix.MSG_OOB, nil) },
		"sendmsg":  func(fd int) error { return unix.Sendmsg(fd, []byte("!"), nil, nil, unix.MSG_OOB) },
		"sendmmsg": func(fd int) error { return sendmmsg(fd, []byte("!"), unix.MSG_OOB) },
	} {
		t.Run("urgent data/"+name, func(t *testing.T) {
			s.eachSession(t, func(t *testing.T, client, server *net.TCPConn) {
				say(t, client, "before")
				hear(t, server, "before")
				onSocket(t, client, send)
				say(t, client, "after")
				poll(t, server, unix.POLLPRI)
				onSocket(t, server, func(fd int) error {
					urgent := make([]byte, 2)
					n, _, err := unix.Recvfrom(fd, urgent, unix.MSG_OOB)
					require.Equal(t, "!", string(urgent[:max(n, 0)]))
					return err
				})
				hear(t, server, "after")
			})
		})
	}

	t.Run("polled for", func(t *testing.T) {
		s.eachSession(t, func(t *testing.T, client, server *net.TCPConn) {
			got := make([]byte, 4)
			for range 20 {
				go client.Write([]byte("ping")) // perhaps before the poll, perhaps after
				poll(t, server, unix.POLLIN)
				_, err := io.ReadFull(server, got)
				require.NoError(t, err)
			}
		})
	})
}

// TestSessionsPassNoDevice counts what devices carry once a session is established: nothing of one on this node.
func TestSessionsPassNoDevice(t *testing.T) {
	t.Parallel()
	s := newSessions(t, bpf.Options{Sizes: smallMaps})
	capture := s.capture(t)
	const bytes = 30000
	talk := func(t *testing.T, client, server *net.TCPConn) {
		data := stream(bytes)
		for _, way := range []struct{ from, to *net.TCPConn }{{client, server}, {server, client}} {
			_, err := way.from.Write(data)
			require.NoError(t, err)
			got := make([]byte, bytes)
			_, err = io.ReadFull(way.to, got)
			require.NoError(t, err)
			same(t, data, got)
		}
	}
	for _, f := range families {
		t.Run(string(f), func(t *testing.T) {
			var m bpf.SessionMetrics
			s.went(t, &m)
			sessions := m.Sessions
			client, server := s.connect(t, f, "a", "b")
			talk(t, client, server)
			require.NoError(t, capture.Sync(t.Context()))
			require.Zero(t, s.carried.Load(), "bytes on devices")
			require.Equal(t, map[bpf.MessageWay]uint64{bpf.MessageRedirected: 2}, s.went(t, &m))

			client, server = s.connect(t, f, "a", "c")
			talk(t, client, server)
			require.NoError(t, capture.Sync(t.Context()))
			require.GreaterOrEqual(t, s.carried.Swap(0), int64(2*bytes), "bytes on devices, to another node")
			require.Empty(t, s.went(t, &m))
			require.Equal(t, uint64(1), m.Sessions[bpf.SessionRemote]-sessions[bpf.SessionRemote])
			require.Equal(t, uint64(2), m.Sessions[bpf.SessionFollowed]-sessions[bpf.SessionFollowed])
		})
	}
}

// write writes data in the background, and closes the direction after it.
func write(t testing.TB, conn *net.TCPConn, data []byte) {
	go func() {
		if _, err := conn.Write(data); err != nil {
			t.Errorf("write: %v", err)
		}
		if err := conn.CloseWrite(); err != nil {
			t.Errorf("close after writing: %v", err)
		}
	}()
}

// fill writes until the socket takes no more, and returns how much it took.
func fill(t testing.TB, conn *net.TCPConn, data []byte) (n int) {
	t.Helper()
	onSocket(t, conn, func(fd int) error {
		for n < len(data) {
			wrote, err := unix.Write(fd, data[n:min(n+10000, len(data))])
			if errors.Is(err, unix.EAGAIN) {
				return nil
			}
			if err != nil {
				return err
			}
			n += wrote
		}
		return nil
	})
	return n
}

// onSocket does something with the socket's descriptor.
func onSocket(t testing.TB, conn syscall.Conn, do func(fd int) error) {
	t.Helper()
	control, err := conn.SyscallConn()
	require.NoError(t, err)
	var failed error
	require.NoError(t, control.Control(func(fd uintptr) { failed = do(int(fd)) }))
	require.NoError(t, failed)
}

// sendmmsg sends one message. golang.org/x/sys has no function for the system call.
func sendmmsg(fd int, data []byte, flags int) error {
	type mmsghdr struct {
		unix.Msghdr
		sent uint32
		_    [4]byte
	}
	messages := []mmsghdr{{Msghdr: unix.Msghdr{Iov: &unix.Iovec{Base: &data[0], Len: uint64(len(data))}, Iovlen: 1}}}
	_, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&messages[0])), 1, uintptr(flags), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// poll waits until poll(2) says one of the events.
func poll(t testing.TB, conn syscall.Conn, events int16) {
	t.Helper()
	onSocket(t, conn, func(fd int) error {
		yes, err := ready(fd, events, patience)
		if err == nil && !yes {
			err = os.ErrDeadlineExceeded
		}
		return err
	})
}

// ready tells whether poll(2) says one of the events in time. A signal of Go's scheduler ends poll: then it is asked again.
func ready(fd int, events int16, wait time.Duration) (bool, error) {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: events}}, int(wait.Milliseconds()))
		if !errors.Is(err, unix.EINTR) {
			return n == 1, err
		}
	}
}

// peek waits until so many bytes can be read.
func peek(t testing.TB, conn *net.TCPConn, bytes int) {
	t.Helper()
	control, err := conn.SyscallConn()
	require.NoError(t, err)
	var failed error
	require.NoError(t, control.Read(func(fd uintptr) bool {
		n, _, err := unix.Recvfrom(int(fd), make([]byte, bytes), unix.MSG_PEEK)
		failed = err
		return n >= bytes || err != nil && !errors.Is(err, unix.EAGAIN)
	}))
	require.NoError(t, failed)
}
