package bench

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/harness/feature"
	"github.com/skbench/skbench/topo"
)

// Talkers use blocking sockets on threads of their own, pinned to one CPU, so that what
// is measured is the kernel's work and not that of Go's scheduler.

// patience is how long a talker waits for the other before it gives up, in seconds.
const patience = 10

// listener is a server that answers one connection after the other.
type listener struct {
	number uint16 // its port
	fd     int
	ended  chan error
}

// listen starts a server on the machine, which has serve talk on each connection. serve
// does not close it.
func listen(m *topo.Machine, cpu int, serve func(conn int) error) (l listener, err error) {
	l = listener{number: 7, ended: make(chan error, 1)}
	err = m.Do(func() (err error) {
		l.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		err = errors.Join(
			unix.Bind(l.fd, &unix.SockaddrInet4{Port: int(l.number), Addr: m.IPv4().As4()}),
			unix.Listen(l.fd, 16))
		if err != nil {
			unix.Close(l.fd)
		}
		return err
	})
	if err != nil {
		return l, fmt.Errorf("bench: listen on %s: %w", m.Name(), err)
	}
	go func() {
		runtime.LockOSThread() // never unlocked: the pinned thread ends with the goroutine
		l.ended <- errors.Join(pin(cpu), l.acceptAll(serve))
	}()
	return l, nil
}

// acceptAll serves until Close.
func (l listener) acceptAll(serve func(conn int) error) error {
	for {
		conn, _, err := unix.Accept4(l.fd, unix.SOCK_CLOEXEC)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EINVAL): // shut down
			return nil
		case err != nil:
			return fmt.Errorf("bench: accept: %w", err)
		}
		err = errors.Join(prepare(conn), serve(conn))
		unix.Close(conn)
		if err != nil {
			return err
		}
	}
}

// Close ends the server, and returns what it had to complain of.
func (l listener) Close() error {
	_ = unix.Shutdown(l.fd, unix.SHUT_RD)
	err := <-l.ended
	unix.Close(l.fd)
	return err
}

// pin keeps the calling thread, which ends with its task, on a CPU, and lets it go before
// other processes there: each time that one of them runs it leaves the CPU's caches cold.
// Before Linux 6.5 softirqs waited for ksoftirqd once that was awake, and so it must not
// wait for us.
func pin(cpu int) error {
	const first = -20
	var cpus unix.CPUSet
	cpus.Set(cpu)
	if err := unix.SchedSetaffinity(0, &cpus); err != nil {
		return fmt.Errorf("bench: pin a thread to CPU %d: %w", cpu, err)
	}
	if kernel, err := feature.Kernel(); err != nil || kernel.Less(feature.Version{Major: 6, Minor: 5}) {
		return err
	}
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, first); err != nil { // 0: the thread alone
		return fmt.Errorf("bench: let a thread go before other processes on CPU %d: %w", cpu, err)
	}
	return nil
}

// prepare readies a connection for talk without delay, or end.
func prepare(conn int) error {
	return errors.Join(
		unix.SetsockoptInt(conn, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		unix.SetsockoptTimeval(conn, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: patience}),
		unix.SetsockoptTimeval(conn, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Sec: patience}))
}

// dial connects from the machine that the calling thread is in.
func dial(to netip.AddrPort) (conn int, err error) {
	if conn, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, fmt.Errorf("bench: make a socket: %w", err)
	}
	if err = prepare(conn); err == nil {
		err = connect(conn, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
	}
	if err != nil {
		unix.Close(conn)
		return -1, fmt.Errorf("bench: connect to %s: %w", to, err)
	}
	return conn, nil
}

// Go's runtime interrupts threads by signals, and a call on a socket with a time-out does not
// go on after one by itself.

// connect waits for a connection that a signal has left under way.
func connect(conn int, to unix.Sockaddr) error {
	err := unix.Connect(conn, to)
	if !errors.Is(err, unix.EINTR) {
		return err
	}
	ready := []unix.PollFd{{Fd: int32(conn), Events: unix.POLLOUT}}
	n, err := uninterrupted(func() (int, error) { return unix.Poll(ready, patience*1000) })
	if err != nil {
		return err
	}
	if n == 0 {
		return unix.ETIMEDOUT
	}
	failed, err := unix.GetsockoptInt(conn, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && failed != 0 {
		err = syscall.Errno(failed)
	}
	return err
}

func read(conn int, buffer []byte) (int, error) {
	return uninterrupted(func() (int, error) { return unix.Read(conn, buffer) })
}

func write(conn int, buffer []byte) (int, error) {
	return uninterrupted(func() (int, error) { return unix.Write(conn, buffer) })
}

func uninterrupted(call func() (int, error)) (n int, err error) {
	for {
		if n, err = call(); !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// exchange sends a byte and gets one back.
func exchange(conn int, message []byte) error {
	if _, err := write(conn, message); err != nil {
		return fmt.Errorf("bench: send a request: %w", err)
	}
	n, err := read(conn, message)
	if err == nil && n == 0 {
		err = errors.New("the server hung up")
	}
	if err != nil {
		return fmt.Errorf("bench: get a response: %w", err)
	}
	return nil
}

// echo sends every byte back.
func echo(conn int) error {
	message := make([]byte, 1)
	for {
		n, err := read(conn, message)
		if err != nil || n == 0 {
			return err
		}
		if _, err := write(conn, message); err != nil {
			return err
		}
	}
}
