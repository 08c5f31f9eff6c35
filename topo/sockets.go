package topo

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// AbortUDP ends the connected UDP sockets in the machine's namespace of which abort says so, by the peer and the socket's cookie,
// whichever processes have them: what they are called for next fails with ECONNABORTED, and they are no longer connected. It
// needs a kernel that has CONFIG_INET_DIAG_DESTROY.
func (m *Machine) AbortUDP(abort func(peer netip.AddrPort, cookie uint64) bool) error {
	err := m.Do(func() error {
		for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
			sockets, err := netlink.SocketDiagUDP(family)
			if err != nil {
				return fmt.Errorf("list those of family %d: %w", family, err)
			}
			for _, s := range sockets {
				if !abort(peerOf(s), cookieOf(s)) {
					continue
				}
				_, err := abortion(s).Execute(unix.NETLINK_SOCK_DIAG, 0)
				if err != nil && !errors.Is(err, unix.ENOENT) { // closed meanwhile
					return fmt.Errorf("one to %s: %w", peerOf(s), err)
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("topo: aborting UDP sockets of %s: %w", m.name, err)
	}
	return nil
}

func peerOf(s *netlink.Socket) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(s.ID.Destination)
	return netip.AddrPortFrom(addr.Unmap(), s.ID.DestinationPort)
}

func cookieOf(s *netlink.Socket) uint64 { return uint64(s.ID.Cookie[1])<<32 | uint64(s.ID.Cookie[0]) }

// abortion asks the kernel to end a socket: SOCK_DESTROY with struct inet_diag_req_v2 (linux/inet_diag.h), in which ports and
// addresses are in network byte order.
func abortion(s *netlink.Socket) *nl.NetlinkRequest {
	b := []byte{s.Family, unix.IPPROTO_UDP, 0, 0}
	b = binary.NativeEndian.AppendUint32(b, ^uint32(0)) // in any state
	b = binary.BigEndian.AppendUint16(b, s.ID.SourcePort)
	b = binary.BigEndian.AppendUint16(b, s.ID.DestinationPort)
	for _, addr := range [][]byte{s.ID.Source, s.ID.Destination} {
		if s.Family == unix.AF_INET {
			addr = addr[len(addr)-4:]
		}
		b = append(b, addr...)
		b = append(b, make([]byte, 16-len(addr))...)
	}
	b = binary.NativeEndian.AppendUint32(b, s.ID.Interface)
	b = binary.NativeEndian.AppendUint32(b, s.ID.Cookie[0])
	b = binary.NativeEndian.AppendUint32(b, s.ID.Cookie[1])
	r := nl.NewNetlinkRequest(nl.SOCK_DESTROY, unix.NLM_F_ACK)
	r.AddRawData(b)
	return r
}
