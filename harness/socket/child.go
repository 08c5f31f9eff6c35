package socket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	childEnv = "SKBENCH_SOCKETS" // set in the child, to the machine's name
	childFD  = 3                 // the child's end of the socket pair
)

func init() {
	if os.Getenv(childEnv) == "" {
		return
	}
	if err := serve(); err != nil {
		fmt.Fprintf(os.Stderr, "skbench: sockets of %s: %v\n", os.Getenv(childEnv), err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serve answers requests until the parent closes its end, by will or by dying.
func serve() error {
	unix.CloseOnExec(childFD)
	conn, err := unixConn(childFD)
	if err != nil {
		return err
	}
	buf := make([]byte, maxMessage)
	for {
		n, err := conn.Read(buf)
		if n == 0 || errors.Is(err, unix.ECONNRESET) {
			return nil
		}
		if err != nil {
			return err
		}
		var r request
		if err := json.Unmarshal(buf[:n], &r); err != nil {
			return fmt.Errorf("request %q: %w", buf[:n], err)
		}
		go answerTo(conn, r)
	}
}

// answerTo opens the socket asked for and passes it to the parent.
func answerTo(conn *net.UnixConn, r request) {
	file, err := open(r)
	if err != nil {
		out := reply{ID: r.ID, Error: err.Error()}
		errors.As(err, &out.Errno)
		out.Late = errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
		send(conn, out, nil)
		return
	}
	send(conn, reply{ID: r.ID}, unix.UnixRights(int(file.Fd())))
	file.Close()
	send(conn, reply{ID: r.ID, Passed: true}, nil)
}

func send(conn *net.UnixConn, r reply, rights []byte) {
	line, err := json.Marshal(r)
	if err != nil {
		panic(err) // plain strings and numbers always marshal
	}
	// A write that fails means that the parent has gone; serve sees that too.
	_, _, _ = conn.WriteMsgUnix(line, rights, nil)
}

// open makes the socket of a request, as a file of its own.
func open(r request) (*os.File, error) {
	if r.Op == opSocket {
		fd, err := unix.Socket(r.Domain, r.Kind|unix.SOCK_CLOEXEC, r.Protocol)
		if err != nil {
			return nil, err
		}
		return os.NewFile(uintptr(fd), opSocket), nil
	}
	ctx := context.Background()
	if r.Timeout != 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.Timeout)
		defer cancel()
	}
	var made any
	var err error
	switch r.Op {
	case opDial:
		made, err = (&net.Dialer{}).DialContext(ctx, r.Network, r.Address)
	case opListen:
		made, err = (&net.ListenConfig{}).Listen(ctx, r.Network, r.Address)
	case opListenPacket:
		made, err = (&net.ListenConfig{}).ListenPacket(ctx, r.Network, r.Address)
	default:
		err = fmt.Errorf("unknown operation %q", r.Op)
	}
	if err != nil {
		return nil, err
	}
	return detach(made.(syscall.Conn))
}

// detach duplicates the descriptor under a Go socket and closes the Go side, so
// that the runtime's poller lets go of it.
func detach(c syscall.Conn) (*os.File, error) {
	file, err := c.(interface{ File() (*os.File, error) }).File()
	if err := errors.Join(err, c.(io.Closer).Close()); err != nil {
		file.Close() // does no harm where there is none
		return nil, err
	}
	return file, nil
}
