package snapshot

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// The configuration of the machine's own network namespace, asked of the kernel by rtnetlink(7) dumps. All integers are in host byte order
// unless said otherwise.

// fallbackTunnels appear in the machine's own namespace when the kernel loads a tunnel module, for whoever first uses one.
var fallbackTunnels = []string{"tunl0", "sit0", "ip6tnl0", "gre0", "gretap0", "erspan0", "ip6gre0", "ip_vti0", "ip6_vti0"}

func (m *machine) listDevices() (map[string]Thing, error) {
	return dump(unix.RTM_GETLINK, make([]byte, unix.SizeofIfInfomsg), func(msg message) (string, string) {
		name := msg.text(unix.IFLA_IFNAME)
		if slices.Contains(fallbackTunnels, name) {
			return "", ""
		}
		// Left out of the flags: RUNNING and LOWER_UP follow the carrier, the cable of a real NIC.
		flags := binary.NativeEndian.Uint32(msg.header[8:]) &^ (unix.IFF_RUNNING | unix.IFF_LOWER_UP | unix.IFF_DORMANT)
		return name, fmt.Sprintf("index %d, flags %#x, MTU %d, address %s, master %d, XDP %s",
			binary.NativeEndian.Uint32(msg.header[4:]), flags, msg.number(unix.IFLA_MTU), net.HardwareAddr(msg.attrs[unix.IFLA_ADDRESS]),
			msg.number(unix.IFLA_MASTER), hex.EncodeToString(msg.attrs[unix.IFLA_XDP]))
	})
}

func (m *machine) listAddresses() (map[string]Thing, error) {
	return dump(unix.RTM_GETADDR, make([]byte, unix.SizeofIfAddrmsg), func(msg message) (string, string) {
		const flagsAt = 2
		if msg.header[flagsAt]&unix.IFA_F_TEMPORARY != 0 && msg.header[0] == unix.AF_INET6 {
			return "", "" // A privacy address: the kernel makes and drops them.
		}
		address := msg.attrs[unix.IFA_LOCAL]
		if address == nil {
			address = msg.attrs[unix.IFA_ADDRESS]
		}
		return fmt.Sprintf("%s/%d on device %d", ip(address), msg.header[1], binary.NativeEndian.Uint32(msg.header[4:])),
			fmt.Sprintf("scope %d", msg.header[3])
	})
}

func (m *machine) listRoutes() (map[string]Thing, error) {
	return dump(unix.RTM_GETROUTE, make([]byte, unix.SizeofRtMsg), func(msg message) (string, string) {
		if binary.NativeEndian.Uint32(msg.header[8:])&unix.RTM_F_CLONED != 0 {
			return "", "" // A cached exception, made by traffic.
		}
		key := fmt.Sprintf("%s/%d table %d metric %d device %d", ip(msg.attrs[unix.RTA_DST]), msg.header[1], msg.number(unix.RTA_TABLE),
			msg.number(unix.RTA_PRIORITY), msg.number(unix.RTA_OIF))
		if msg.header[0] == unix.AF_INET6 {
			key = "inet6 " + key
		}
		return key, fmt.Sprintf("via %s, type %d, protocol %d, scope %d, source %s, next hops %s", ip(msg.attrs[unix.RTA_GATEWAY]), msg.header[7],
			msg.header[5], msg.header[6], ip(msg.attrs[unix.RTA_PREFSRC]), hex.EncodeToString(msg.attrs[unix.RTA_MULTIPATH]))
	})
}

// listRules lists the routing rules. Their attributes are few, and none changes by itself.
func (m *machine) listRules() (map[string]Thing, error) {
	return dump(unix.RTM_GETRULE, make([]byte, unix.SizeofRtMsg), func(msg message) (string, string) {
		return fmt.Sprintf("%d family %d %s", msg.number(unix.FRA_PRIORITY), msg.header[0], msg.all()), ""
	})
}

func (m *machine) listQdiscs() (map[string]Thing, error) {
	const sizeofTcMsg, kind = 20, 1 // struct tcmsg, TCA_KIND
	return dump(unix.RTM_GETQDISC, make([]byte, sizeofTcMsg), func(msg message) (string, string) {
		return fmt.Sprintf("on device %d, handle %x, parent %x", binary.NativeEndian.Uint32(msg.header[4:]),
			binary.NativeEndian.Uint32(msg.header[8:]), binary.NativeEndian.Uint32(msg.header[12:])), msg.text(kind)
	})
}

// message is one object of a dump: the fixed header of its type (struct ifinfomsg, rtmsg…) and the attributes after it.
type message struct {
	header []byte
	attrs  map[uint16][]byte
}

func (m message) text(attr uint16) string { return strings.TrimRight(string(m.attrs[attr]), "\x00") }

func (m message) number(attr uint16) uint32 {
	if v := m.attrs[attr]; len(v) == 4 {
		return binary.NativeEndian.Uint32(v)
	}
	return 0
}

func (m message) all() string {
	var b strings.Builder
	for attr := range uint16(64) {
		if v, ok := m.attrs[attr]; ok {
			fmt.Fprintf(&b, "%d=%x ", attr, v)
		}
	}
	return strings.TrimSpace(b.String())
}

// ip prints an address in network byte order; none stands for all.
func ip(raw []byte) string {
	address, ok := netip.AddrFromSlice(raw)
	if !ok {
		return "any"
	}
	return address.String()
}

// dump asks for all objects of one type and lets describe make a key and a description of each; an empty key leaves it out.
func dump(get uint16, header []byte, describe func(message) (key, what string)) (map[string]Thing, error) {
	things := map[string]Thing{}
	err := request(get, header, func(payload []byte) error {
		if len(payload) < len(header) {
			return fmt.Errorf("netlink: %d bytes, want at least %d", len(payload), len(header))
		}
		key, what := describe(message{header: payload[:len(header)], attrs: parseAttributes(payload[len(header):])})
		if key != "" {
			things[key] = Thing{What: what}
		}
		return nil
	})
	return things, err
}

// request sends a dump request and passes each answer's payload on.
func request(get uint16, header []byte, each func([]byte) error) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("netlink socket: %w", err)
	}
	defer unix.Close(fd)
	msg := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(header)))
	msg = binary.NativeEndian.AppendUint16(msg, get)
	msg = binary.NativeEndian.AppendUint16(msg, unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	msg = append(msg, make([]byte, 8)...) // sequence, port
	if err := unix.Sendto(fd, append(msg, header...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("netlink request %d: %w", get, err)
	}
	buffer := make([]byte, 1<<16)
	for {
		n, _, err := unix.Recvfrom(fd, buffer, 0)
		if err != nil {
			return fmt.Errorf("netlink answer to %d: %w", get, err)
		}
		if done, err := split(buffer[:n], each); done || err != nil {
			return err
		}
	}
}

// split passes on the messages of one datagram, and tells whether the dump is over.
func split(datagram []byte, each func([]byte) error) (done bool, err error) {
	for len(datagram) >= unix.SizeofNlMsghdr {
		length := int(binary.NativeEndian.Uint32(datagram))
		if length < unix.SizeofNlMsghdr || length > len(datagram) {
			return false, fmt.Errorf("netlink: message of %d bytes in %d", length, len(datagram))
		}
		payload := datagram[unix.SizeofNlMsghdr:length]
		switch binary.NativeEndian.Uint16(datagram[4:]) {
		case unix.NLMSG_DONE:
			return true, nil
		case unix.NLMSG_ERROR:
			return false, fmt.Errorf("netlink: %w", unix.Errno(-int32(binary.NativeEndian.Uint32(payload))))
		}
		if err := each(payload); err != nil {
			return false, err
		}
		datagram = datagram[min(align(length), len(datagram)):]
	}
	return false, nil
}

func parseAttributes(b []byte) map[uint16][]byte {
	attrs := map[uint16][]byte{}
	for len(b) >= unix.SizeofNlAttr {
		length := int(binary.NativeEndian.Uint16(b))
		if length < unix.SizeofNlAttr || length > len(b) {
			break
		}
		attrs[binary.NativeEndian.Uint16(b[2:])&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER)] = b[unix.SizeofNlAttr:length]
		b = b[min(align(length), len(b)):]
	}
	return attrs
}

func align(n int) int { return (n + unix.NLMSG_ALIGNTO - 1) &^ (unix.NLMSG_ALIGNTO - 1) }
