package topo

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// nflog receives what rules with the target NFLOG log in one namespace (net/netfilter/nfnetlink_log.c).
type nflog struct {
	network *Network
	file    *os.File
	deliver func(attrs map[uint16]syscall.NetlinkRouteAttr, family Family)
	lost    atomic.Uint64 // times that the socket ran over, and messages that nobody can read
	done    chan struct{} // closed when nothing more will be delivered

	mu       sync.Mutex
	awaited  map[uint32]chan<- error // sequence number of a request → its acknowledgement
	sequence uint32
}

// Constants of include/uapi/linux/netfilter/nfnetlink_log.h and nfnetlink.h.
const (
	nflogPacket = unix.NFNL_SUBSYS_ULOG << 8 // messages
	nflogConfig = unix.NFNL_SUBSYS_ULOG<<8 + 1

	configCommand   = 1 // attributes of a configuration; numbers are big-endian
	configMode      = 2
	configThreshold = 5
	commandBind     = 1
	modePacket      = 2

	packetIn      = 4 // attributes of a packet; numbers are big-endian
	packetOut     = 5
	packetPayload = 9
	packetPrefix  = 10
)

const (
	nflogGroup    = 1977    // groups are a namespace's own
	nflogBuffer   = 8 << 20 // bytes that may wait to be read
	nflogDatagram = 128 << 10

	// nflogAgain is after how long a request is repeated: the kernel drops an answer, as any message, for which the socket has no room
	// (net/netlink/af_netlink.c, netlink_attachskb), and takes none until all has been read.
	nflogAgain = 50 * time.Millisecond
)

// newNflog begins to receive inside the machine.
func newNflog(m *Machine, deliver func(map[uint16]syscall.NetlinkRouteAttr, Family)) (*nflog, error) {
	l := &nflog{network: m.network, deliver: deliver, done: make(chan struct{}), awaited: map[uint32]chan<- error{}}
	err := m.Do(func() error {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
		if err != nil {
			return err
		}
		l.file = os.NewFile(uintptr(fd), "nfnetlink_log")
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, nflogBuffer)
	})
	if err != nil {
		return nil, err
	}
	go l.read()
	if err := l.bind(context.Background()); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	m.network.own(l)
	return l, nil
}

// bind asks for whole packets of the group, each as soon as it is logged.
func (l *nflog) bind(ctx context.Context) error {
	if err := l.configure(ctx, nl.NewRtAttr(configCommand, []byte{commandBind})); err != nil {
		return err
	}
	everything := binary.BigEndian.AppendUint32(nil, 0xffff) // bytes of a packet
	return l.configure(ctx,
		nl.NewRtAttr(configMode, append(everything, modePacket, 0)),
		nl.NewRtAttr(configThreshold, nl.BEUint32Attr(1)))
}

// Sync returns when everything logged before the call has been delivered: the kernel's answer to a request stands in line
// behind it.
func (l *nflog) Sync(ctx context.Context) error { return l.configure(ctx) }

// configure sends attributes of a configuration, and waits for the acknowledgement.
func (l *nflog) configure(ctx context.Context, attrs ...*nl.RtAttr) error {
	acknowledged := make(chan error, 1)
	l.mu.Lock()
	l.sequence++
	sequence := l.sequence
	l.awaited[sequence] = acknowledged
	l.mu.Unlock()

	req := nl.NewNetlinkRequest(nflogConfig, unix.NLM_F_ACK)
	req.Seq = sequence
	req.AddData(&nl.Nfgenmsg{NfgenFamily: unix.AF_UNSPEC, Version: nl.NFNETLINK_V0, ResId: nl.Swap16(nflogGroup)})
	for _, attr := range attrs {
		req.AddData(attr)
	}
	for {
		if _, err := l.file.Write(req.Serialize()); err != nil {
			return err
		}
		select {
		case err := <-acknowledged:
			return err
		case <-l.done:
			return os.ErrClosed
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(nflogAgain):
		}
	}
}

// read delivers until the socket is closed.
func (l *nflog) read() {
	defer close(l.done)
	b := make([]byte, nflogDatagram)
	for {
		n, err := l.file.Read(b)
		if errors.Is(err, unix.ENOBUFS) {
			l.lost.Add(1)
			continue
		}
		if err != nil {
			return
		}
		messages, err := syscall.ParseNetlinkMessage(b[:n])
		if err != nil {
			l.lost.Add(1)
			continue
		}
		for _, m := range messages {
			l.take(m)
		}
	}
}

func (l *nflog) take(m syscall.NetlinkMessage) {
	switch m.Header.Type {
	case unix.NLMSG_ERROR:
		l.mu.Lock()
		acknowledged := l.awaited[m.Header.Seq]
		delete(l.awaited, m.Header.Seq)
		l.mu.Unlock()
		if acknowledged != nil {
			acknowledged <- acknowledgement(m)
		}
	case nflogPacket:
		if len(m.Data) < nl.SizeofNfgenmsg {
			l.lost.Add(1)
			return
		}
		family := IPv4
		if m.Data[0] == unix.AF_INET6 {
			family = IPv6
		}
		attrs, err := nl.ParseRouteAttrAsMap(m.Data[nl.SizeofNfgenmsg:])
		if err != nil {
			l.lost.Add(1)
			return
		}
		l.deliver(attrs, family)
	}
}

// acknowledgement is nil for a request that went well.
func acknowledgement(m syscall.NetlinkMessage) error {
	if len(m.Data) < 4 {
		return fmt.Errorf("an acknowledgement of %d bytes", len(m.Data))
	}
	if code := int32(binary.NativeEndian.Uint32(m.Data)); code != 0 {
		return syscall.Errno(-code)
	}
	return nil
}

// Close ends it, once.
func (l *nflog) Close() error {
	l.network.disown(l)
	if err := l.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	<-l.done
	return nil
}
