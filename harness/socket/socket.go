// Package socket opens real sockets inside another machine's namespaces.
//
// Socket programs act on the cgroup of the process that made a socket, and a
// socket lives in the namespace it was made in, so each pod and host gets a
// child process of its own. The child only makes sockets: it dials or listens,
// passes the descriptor back and forgets it. What the caller holds is an
// ordinary net.Conn or net.Listener of its own process, good for any Go library.
//
// The child is this same executable, started again with an environment variable
// that the package's init function looks for, so a test binary needs no hook in
// TestMain. It ends when the socket to its parent does: kill -9 of the parent
// leaves no child behind.
package socket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Process is a child that opens sockets for its parent. Its methods may be
// called from any goroutine; requests run side by side.
type Process struct {
	name string
	cmd  *exec.Cmd
	conn *net.UnixConn

	mu      sync.Mutex
	nextID  uint64
	waiting map[uint64]chan<- answer
	gone    error // set once the child can no longer answer
}

// answer is what the child said to one request.
type answer struct {
	reply reply
	file  *os.File
	err   error
}

// Start starts a child called name through start, which decides the namespaces
// and the cgroup that the child, and so its sockets, will live in
// ((*topo.Machine).Start is one). The caller closes the Process.
func Start(name string, start func(*exec.Cmd) error) (*Process, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, fmt.Errorf("socket: process of %s: %w", name, err)
	}
	defer theirs.Close()

	cmd := exec.Command("/proc/self/exe")
	cmd.Args[0] = "skbench-" + name
	cmd.Env = []string{
		childEnv + "=" + name,
		"GOMAXPROCS=1",
		"GORACE=atexit_sleep_ms=0", // or a race-detecting child takes a second to end
	}
	cmd.ExtraFiles = []*os.File{theirs} // becomes childFD
	cmd.Stderr = os.Stderr
	if err := start(cmd); err != nil {
		ours.Close()
		return nil, fmt.Errorf("socket: start the process of %s: %w", name, err)
	}
	p := &Process{name: name, cmd: cmd, conn: ours, waiting: map[uint64]chan<- answer{}}
	go p.receive()
	return p, nil
}

// Close ends the child. Sockets that it opened stay open: they are the caller's.
func (p *Process) Close() error {
	p.conn.Close()
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("socket: process of %s: %w", p.name, err)
	}
	return nil
}

// Dial connects as net.Dialer does, from inside: network is "tcp", "udp" or one
// of their variants, address a literal address and port.
func (p *Process) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	file, err := p.ask(ctx, request{Op: opDial, Network: network, Address: address})
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return net.FileConn(file)
}

// Listen listens as net.Listen does, from inside.
func (p *Process) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	file, err := p.ask(ctx, request{Op: opListen, Network: network, Address: address})
	if err != nil {
		return nil, err
	}
	defer file.Close()
	made, err := net.FileListener(file)
	if tcp, ok := made.(*net.TCPListener); ok {
		return listener{tcp}, nil
	}
	return made, err
}

// listener is deaf once it is closed, and its port free. Closing alone does not make it so while there is a copy of the
// descriptor, as a process that another goroutine is starting has one until it execs.
type listener struct{ *net.TCPListener }

func (l listener) Close() error {
	file, err := l.File()
	if err != nil {
		return err // it is closed
	}
	defer file.Close()
	return errors.Join(l.TCPListener.Close(), unix.Shutdown(int(file.Fd()), unix.SHUT_RDWR))
}

// ListenPacket opens a socket as net.ListenPacket does, from inside: "udp", or
// "ip4:icmp" and "ip6:ipv6-icmp" for raw ICMP.
func (p *Process) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	file, err := p.ask(ctx, request{Op: opListenPacket, Network: network, Address: address})
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return net.FilePacketConn(file)
}

// Socket makes a socket as socket(2) does, from inside, and leaves all else to the caller: for what Go's net package does not
// do, such as an IPv6 socket that talks to an IPv4 address. The caller closes the file.
func (p *Process) Socket(ctx context.Context, domain, kind, protocol int) (*os.File, error) {
	return p.ask(ctx, request{Op: opSocket, Domain: domain, Kind: kind, Protocol: protocol})
}

// ask sends one request and waits for its answer or for the context's end. The
// child gives up at the context's deadline too, so nothing lingers there.
func (p *Process) ask(ctx context.Context, r request) (*os.File, error) {
	if deadline, ok := ctx.Deadline(); ok {
		r.Timeout = time.Until(deadline)
	}
	done := make(chan answer, 1)
	p.mu.Lock()
	if p.gone != nil {
		p.mu.Unlock()
		return nil, p.gone
	}
	p.nextID++
	r.ID = p.nextID
	p.waiting[r.ID] = done
	p.mu.Unlock()

	line, err := json.Marshal(r)
	if err == nil {
		_, err = p.conn.Write(line)
	}
	if err != nil {
		p.forget(r.ID)
		return nil, fmt.Errorf("socket: ask the process of %s: %w", p.name, err)
	}
	select {
	case a := <-done:
		if a.err == nil && a.file == nil {
			a.err = a.reply.err(r)
		}
		return a.file, a.err
	case <-ctx.Done():
		if !p.forget(r.ID) { // the answer came at the same moment: do not lose its descriptor
			if a := <-done; a.file != nil {
				a.file.Close()
			}
		}
		return nil, fmt.Errorf("%s %s %s from %s: %w", r.Op, r.Network, r.Address, p.name, ctx.Err())
	}
}

// forget gives up on a request and says whether it was still waiting.
func (p *Process) forget(id uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, waiting := p.waiting[id]
	delete(p.waiting, id)
	return waiting
}

// receive hands each answer to its request until the child or Close ends it.
func (p *Process) receive() {
	buf, oob := make([]byte, maxMessage), make([]byte, unix.CmsgSpace(4))
	passed := map[uint64]*os.File{} // by the request, while the child may still hold a copy
	defer func() {
		for _, file := range passed {
			file.Close()
		}
	}()
	for {
		n, oobn, _, _, err := p.conn.ReadMsgUnix(buf, oob)
		if err == nil && n == 0 {
			err = errors.New("it ended")
		}
		if err != nil {
			p.fail(fmt.Errorf("socket: process of %s: %w", p.name, err))
			return
		}
		a := answer{file: passedFile(oob[:oobn])}
		if err := json.Unmarshal(buf[:n], &a.reply); err != nil {
			a.err = fmt.Errorf("socket: answer of the process of %s: %w", p.name, err)
		}
		switch id := a.reply.ID; {
		case a.file != nil:
			passed[id] = a.file
			continue
		case a.reply.Passed:
			a.file = passed[id]
			delete(passed, id)
		}
		p.mu.Lock()
		done := p.waiting[a.reply.ID]
		delete(p.waiting, a.reply.ID)
		p.mu.Unlock()
		switch {
		case done != nil:
			done <- a
		case a.file != nil:
			a.file.Close() // its request was given up
		}
	}
}

// fail answers everyone who waits, and everyone who comes later, with err.
func (p *Process) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = err
	for id, done := range p.waiting {
		done <- answer{err: err}
		delete(p.waiting, id)
	}
}

// passedFile takes the descriptor out of a control message, nil if none came.
func passedFile(oob []byte) *os.File {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(messages) == 0 {
		return nil
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) == 0 {
		return nil
	}
	unix.CloseOnExec(fds[0])
	return os.NewFile(uintptr(fds[0]), "socket")
}

// socketPair makes a pair of message sockets: ours for this process, theirs to
// be inherited.
func socketPair() (ours *net.UnixConn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a socket pair: %w", err)
	}
	theirs = os.NewFile(uintptr(fds[1]), "child")
	ours, err = unixConn(fds[0])
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

func unixConn(fd int) (*net.UnixConn, error) {
	file := os.NewFile(uintptr(fd), "sockets")
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	return conn.(*net.UnixConn), nil
}

// Operations of a request, named as in net.OpError.
const (
	opDial         = "dial"
	opListen       = "listen"
	opListenPacket = "listen-packet"
	opSocket       = "socket"
)

// maxMessage is the longest request or reply in bytes.
const maxMessage = 4096

type request struct {
	ID               uint64
	Op               string
	Network, Address string
	Timeout          time.Duration

	Domain, Kind, Protocol int // of opSocket
}

// reply comes twice when it brings a descriptor: with it, and once more when the child has closed its own.
type reply struct {
	ID     uint64
	Passed bool // the descriptor that came before is nobody else's now
	Error  string
	Errno  syscall.Errno // the system call's, so that errors.Is works across the processes
	Late   bool          // the request's deadline passed: the child may notice before its parent does
}

// err rebuilds the error of a reply that brought no descriptor.
func (r reply) err(q request) error {
	if r.Errno != 0 {
		return &net.OpError{Op: q.Op, Net: q.Network, Err: fmt.Errorf("%s: %w", q.Address, r.Errno)}
	}
	if r.Late {
		return &net.OpError{Op: q.Op, Net: q.Network, Err: fmt.Errorf("%s: %w", q.Address, context.DeadlineExceeded)}
	}
	return errors.New(strings.TrimSpace(r.Error))
}
