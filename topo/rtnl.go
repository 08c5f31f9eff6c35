package topo

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// A request is one netlink message to the kernel, and what it does, for errors.
type request struct {
	what string
	*nl.NetlinkRequest
}

// rtnl is a route netlink socket. It belongs to the namespace of the thread that opened it, and serves from any thread. Many
// requests go to the kernel in one system call, which is what makes a network of hundreds of namespaces come up in a second.
type rtnl struct {
	mu sync.Mutex
	fd int
}

const (
	maxBatch = 128      // requests in one system call; the socket's send buffer takes far more
	maxQuery = 32       // of those, requests that are answered: answers must fit into the socket's receive buffer
	maxReply = 32 << 10 // bytes that the kernel puts into one datagram at most (net/netlink/af_netlink.c, netlink_dump)
)

func newRTNL() (*rtnl, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("opening a route netlink socket: %w", err)
	}
	// These make acknowledgements short, errors clear, and dumps keep to what is asked for; all works without.
	for _, option := range []int{unix.NETLINK_CAP_ACK, unix.NETLINK_EXT_ACK, unix.NETLINK_GET_STRICT_CHK} {
		_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, option, 1)
	}
	return &rtnl{fd: fd}, nil
}

func (r *rtnl) close() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fd >= 0 {
		unix.Close(r.fd)
	}
	r.fd = -1
}

// do has the kernel carry out requests in order, and returns the first error; the kernel goes on after one that fails.
func (r *rtnl) do(requests ...request) error {
	return r.inBatches(requests, maxBatch, nil)
}

// query sends requests that are answered, and calls each with every answer.
func (r *rtnl) query(requests []request, each func(syscall.NetlinkMessage)) error {
	return r.inBatches(requests, maxQuery, each)
}

func (r *rtnl) inBatches(requests []request, size int, each func(syscall.NetlinkMessage)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(requests) > 0 {
		n := min(size, len(requests))
		if err := r.exchange(requests[:n], each); err != nil {
			return err
		}
		requests = requests[n:]
	}
	return nil
}

// exchange sends requests in one system call. The kernel acknowledges the last; the others answer when they fail, and when
// they are queries.
func (r *rtnl) exchange(requests []request, each func(syscall.NetlinkMessage)) error {
	var out []byte
	last := requests[len(requests)-1]
	last.Flags |= unix.NLM_F_ACK
	for _, req := range requests {
		out = append(out, req.Serialize()...)
		for len(out)%unix.NLMSG_ALIGNTO != 0 {
			out = append(out, 0)
		}
	}
	if err := unix.Sendto(r.fd, out, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("%s: sending to the kernel: %w", requests[0].what, err)
	}

	var failed error
	in := make([]byte, maxReply)
	for {
		n, _, err := unix.Recvfrom(r.fd, in, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: receiving from the kernel: %w", last.what, err)
		}
		messages, err := syscall.ParseNetlinkMessage(in[:n])
		if err != nil {
			return fmt.Errorf("%s: reading the kernel's answer: %w", last.what, err)
		}
		for _, m := range messages {
			if err := failure(m, requests); err != nil && failed == nil {
				failed = err
			}
			if m.Header.Type != unix.NLMSG_ERROR && m.Header.Type != unix.NLMSG_DONE && each != nil {
				each(m)
			}
			if m.Header.Seq == last.Seq && (m.Header.Type == unix.NLMSG_ERROR || m.Header.Type == unix.NLMSG_DONE) {
				return failed
			}
		}
	}
}

// failure is the error that a message tells of, with the request it answers.
func failure(m syscall.NetlinkMessage, requests []request) error {
	if m.Header.Type != unix.NLMSG_ERROR || len(m.Data) < 4 {
		return nil
	}
	code := int32(binary.NativeEndian.Uint32(m.Data)) // negative errno, 0 acknowledges
	if code == 0 {
		return nil
	}
	var err error = syscall.Errno(-code)
	if text := explanation(m); text != "" {
		err = fmt.Errorf("%w (%s)", err, text)
	}
	for _, req := range requests {
		if req.Seq == m.Header.Seq {
			return fmt.Errorf("%s: %w", req.what, err)
		}
	}
	return err
}

// explanation is the kernel's sentence about an error, where it has one (include/uapi/linux/netlink.h, nlmsgerr_attrs).
func explanation(m syscall.NetlinkMessage) string {
	const textAttr = 1
	rest := m.Data[4:]
	if m.Header.Flags&unix.NLM_F_ACK_TLVS == 0 || len(rest) < unix.SizeofNlMsghdr {
		return ""
	}
	echoed := unix.SizeofNlMsghdr
	if m.Header.Flags&unix.NLM_F_CAPPED == 0 {
		echoed = int(binary.NativeEndian.Uint32(rest)+3) &^ 3
	}
	attrs, err := nl.ParseRouteAttr(rest[min(echoed, len(rest)):])
	if err != nil {
		return ""
	}
	for _, a := range attrs {
		if a.Attr.Type == textAttr {
			return unix.ByteSliceToString(a.Value)
		}
	}
	return ""
}
