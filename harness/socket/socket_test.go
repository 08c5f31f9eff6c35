package socket_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/harness/socket"
)

// start runs a child in the test's own namespaces.
func start(t *testing.T) *socket.Process {
	t.Helper()
	p, err := socket.Start(t.Name(), (*exec.Cmd).Start)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// startIsolated runs a child in a network namespace of its own, lo up.
func startIsolated(t *testing.T) *socket.Process {
	t.Helper()
	p, err := socket.Start(t.Name(), func(cmd *exec.Cmd) error {
		done := make(chan error)
		go func() {
			runtime.LockOSThread() // never unlocked: the thread goes with its namespace
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				done <- err
				return
			}
			done <- cmd.Start()
		}()
		return <-done
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

func TestConnectionsCarryData(t *testing.T) {
	t.Parallel()
	p, ctx := start(t), t.Context()

	listener, err := p.Listen(ctx, "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			io.Copy(conn, conn)
			conn.Close()
		}
	}()

	conn, err := p.Dial(ctx, "tcp", listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	fmt.Fprint(conn, "over there and back")
	require.NoError(t, conn.(*net.TCPConn).CloseWrite())
	got, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Equal(t, "over there and back", string(got))
}

func TestDatagramsCarryData(t *testing.T) {
	t.Parallel()
	p, ctx := start(t), t.Context()

	server, err := p.ListenPacket(ctx, "udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer server.Close()
	client, err := p.Dial(ctx, "udp", server.LocalAddr().String())
	require.NoError(t, err)
	defer client.Close()
	fmt.Fprint(client, "datagram")
	buf := make([]byte, 100)
	n, _, err := server.ReadFrom(buf)
	require.NoError(t, err)
	require.Equal(t, "datagram", string(buf[:n]))
}

func TestSocketsLiveInTheChildsNamespace(t *testing.T) {
	t.Parallel()
	here, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer here.Close()

	_, err = startIsolated(t).Dial(t.Context(), "tcp", here.Addr().String())
	require.ErrorIs(t, err, syscall.ENETUNREACH, "lo is down in a new namespace")
}

func TestPlainSockets(t *testing.T) {
	t.Parallel()
	server, err := start(t).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer server.Close()
	port := server.LocalAddr().(*net.UDPAddr).Port

	socketOf := func(p *socket.Process) int {
		file, err := p.Socket(t.Context(), unix.AF_INET6, unix.SOCK_DGRAM, 0)
		require.NoError(t, err)
		t.Cleanup(func() { file.Close() })
		return int(file.Fd())
	}
	toIPv4 := &unix.SockaddrInet6{Port: port, Addr: [16]byte{10: 0xff, 11: 0xff, 12: 127, 15: 1}}
	require.NoError(t, unix.Sendto(socketOf(start(t)), []byte("datagram"), 0, toIPv4))
	buf := make([]byte, 100)
	n, _, err := server.ReadFrom(buf)
	require.NoError(t, err)
	require.Equal(t, "datagram", string(buf[:n]))

	isolated := startIsolated(t)
	require.ErrorIs(t, unix.Sendto(socketOf(isolated), []byte("datagram"), 0, toIPv4), syscall.ENETUNREACH, "it is the child's, whoever uses it")
	_, err = isolated.Socket(t.Context(), -1, unix.SOCK_DGRAM, 0)
	require.ErrorIs(t, err, syscall.EAFNOSUPPORT)
}

func TestErrorsNameTheAddressAndTheCause(t *testing.T) {
	t.Parallel()
	p := start(t)
	_, err := p.Dial(t.Context(), "tcp", "127.0.0.1:1")
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.ErrorContains(t, err, "127.0.0.1:1")
	_, err = p.Dial(t.Context(), "carrier-pigeon", "127.0.0.1:1")
	require.ErrorContains(t, err, "carrier-pigeon")
}

func TestDialGivesUpAtTheDeadline(t *testing.T) {
	t.Parallel()
	p := start(t)
	listener, err := p.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()

	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	_, err = p.Dial(ctx, "tcp", listener.Addr().String())
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// A port is free as soon as its listener is closed, though a process that is being started holds copies of all descriptors.
func TestClosedListenersAreDeaf(t *testing.T) {
	t.Parallel()
	p := start(t)
	listener, err := p.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	raw, err := listener.(syscall.Conn).SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) {
		held, err := syscall.Dup(int(fd))
		require.NoError(t, err)
		t.Cleanup(func() { syscall.Close(held) })
	}))
	accepting := make(chan error, 1)
	go func() {
		_, err := listener.Accept()
		accepting <- err
	}()
	require.NoError(t, listener.Close())
	require.ErrorIs(t, <-accepting, net.ErrClosed)
	require.ErrorIs(t, listener.Close(), net.ErrClosed)
	again, err := p.Listen(t.Context(), "tcp", listener.Addr().String())
	require.NoError(t, err)
	require.NoError(t, again.Close())
}

// startWatched runs a child, and returns what tells the descriptors that it has: the same all the time, but for what it makes.
func startWatched(t *testing.T) (p *socket.Process, pid int, descriptors func() []os.DirEntry) {
	t.Helper()
	var child *exec.Cmd
	p, err := socket.Start(t.Name(), func(cmd *exec.Cmd) error { child = cmd; return cmd.Start() })
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	first, err := p.ListenPacket(t.Context(), "udp", "127.0.0.1:0") // starts the child's poller, which has descriptors too
	require.NoError(t, err)
	t.Cleanup(func() { first.Close() })
	return p, child.Process.Pid, func() []os.DirEntry {
		all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", child.Process.Pid))
		require.NoError(t, err)
		return all
	}
}

// The child keeps nothing of what it has handed over: with it, a connection would stay open after its only user closed it.
func TestChildKeepsNoCopies(t *testing.T) {
	t.Parallel()
	p, _, descriptors := startWatched(t)
	before := len(descriptors())
	for range 100 {
		conn, err := p.ListenPacket(t.Context(), "udp", "127.0.0.1:0")
		require.NoError(t, err)
		require.Len(t, descriptors(), before)
		require.NoError(t, conn.Close())
	}
}

// Nor of what it cannot hand over: here it may have the socket, but not the copy to pass.
func TestChildKeepsNothingThatFails(t *testing.T) {
	t.Parallel()
	p, pid, descriptors := startWatched(t)
	before := descriptors()
	var free uint64 // the lowest number that is
	for slices.ContainsFunc(before, func(e os.DirEntry) bool { return e.Name() == strconv.FormatUint(free, 10) }) {
		free++
	}
	require.NoError(t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: free + 1, Max: free + 1}, nil))
	for range 3 {
		_, err := p.ListenPacket(t.Context(), "udp", "127.0.0.1:0")
		require.ErrorIs(t, err, unix.EMFILE)
		require.Len(t, descriptors(), len(before))
	}
}

func TestRequestsAfterTheChildsEndFail(t *testing.T) {
	t.Parallel()
	var child *exec.Cmd
	p, err := socket.Start(t.Name(), func(cmd *exec.Cmd) error { child = cmd; return cmd.Start() })
	require.NoError(t, err)
	require.NoError(t, child.Process.Kill())
	_, err = p.Dial(t.Context(), "tcp", "127.0.0.1:1")
	require.ErrorContains(t, err, t.Name())
	require.Error(t, p.Close(), "a killed child is worth knowing of")
}

// The child lives as long as the parent's end of the pair, which is what makes
// kill -9 of the parent safe.
func TestChildEndsWithItsParentsSocket(t *testing.T) {
	t.Parallel()
	var child *exec.Cmd
	p, err := socket.Start(t.Name(), func(cmd *exec.Cmd) error { child = cmd; return cmd.Start() })
	require.NoError(t, err)
	require.NoError(t, p.Close())
	require.ErrorIs(t, child.Process.Signal(syscall.Signal(0)), os.ErrProcessDone)
}
