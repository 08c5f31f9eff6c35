package feature

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// The few netlink requests by which devices, queueing disciplines and IPsec associations are tried. Integers are in host byte order unless
// said otherwise.

// addDevice makes a device of a kind in the thread's namespace, under a name that the kernel chooses.
func addDevice(kind string) error {
	info := attr(unix.IFLA_INFO_KIND, []byte(kind))
	switch kind { // Those that do not come without a number.
	case "vxlan":
		info = append(info, attr(unix.IFLA_INFO_DATA, attr(unix.IFLA_VXLAN_ID, u32(1)))...)
	case "geneve":
		info = append(info, attr(unix.IFLA_INFO_DATA, attr(unix.IFLA_GENEVE_ID, u32(1)))...)
	}
	payload := append(make([]byte, unix.SizeofIfInfomsg), attr(unix.IFLA_LINKINFO, info)...)
	err := request(unix.NETLINK_ROUTE, unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, payload)
	if errors.Is(err, unix.EEXIST) {
		return nil // A tunnel without addresses, which its module puts into each namespace by itself.
	}
	return asNo(err, unix.EOPNOTSUPP)
}

// addQdisc adds a queueing discipline to a device.
func addQdisc(dev int, kind string, parent uint32) error {
	payload := append(tcmsg(dev, 0, parent, 0), attr(tcaKind, []byte(kind+"\x00"))...)
	err := request(unix.NETLINK_ROUTE, unix.RTM_NEWQDISC, unix.NLM_F_CREATE|unix.NLM_F_EXCL, payload)
	return asNo(err, unix.ENOENT, unix.EOPNOTSUPP)
}

// addFilter attaches a program to the ingress of a device's clsact qdisc, to decide by itself (direct action).
func addFilter(dev, prog int) error {
	const (
		ingress   = atClsact&0xffff0000 | 0xfff2 // TC_H_MIN_INGRESS
		allEthers = 3 << 8                       // ETH_P_ALL, in network byte order
		priority  = 1 << 16
	)
	options := append(attr(tcaBPFFd, u32(uint32(prog))), attr(tcaBPFName, []byte("probe\x00"))...)
	options = append(options, attr(tcaBPFFlags, u32(1))...) // TCA_BPF_FLAG_ACT_DIRECT
	payload := append(tcmsg(dev, 0, ingress, priority|allEthers), attr(tcaKind, []byte("bpf\x00"))...)
	payload = append(payload, attr(tcaOptions, options)...)
	err := request(unix.NETLINK_ROUTE, unix.RTM_NEWTFILTER, unix.NLM_F_CREATE|unix.NLM_F_EXCL, payload)
	return asNo(err, unix.ENOENT, unix.EOPNOTSUPP)
}

// From linux/rtnetlink.h and linux/pkt_cls.h.
const (
	atRoot   = 0xffffffff // TC_H_ROOT
	atClsact = 0xfffffff1 // TC_H_CLSACT

	tcaKind    = 1
	tcaOptions = 2

	tcaBPFFd    = 6
	tcaBPFName  = 7
	tcaBPFFlags = 8
)

// tcmsg is struct tcmsg of linux/rtnetlink.h.
func tcmsg(dev int, handle, parent, info uint32) []byte {
	b := append(make([]byte, 4), u32(uint32(dev))...) // family, padding
	b = append(b, u32(handle)...)
	b = append(b, u32(parent)...)
	return append(b, u32(info)...)
}

// addESP adds an IPsec association in tunnel mode with AES-GCM (struct xfrm_usersa_info and xfrm_algo_aead of linux/xfrm.h).
func addESP() error {
	const (
		newSA, algAEAD           = 0x10, 18 // XFRM_MSG_NEWSA, XFRMA_ALG_AEAD
		sizeofInfo               = 224
		idAt, familyAt, modeAt   = 56, 212, 214
		sourceAt, limitsAt       = 80, 96
		tunnel                   = 1
		keyBits, authBits, bytes = 160, 128, 20
	)
	info := make([]byte, sizeofInfo)
	copy(info[idAt:], []byte{192, 0, 2, 1})            // destination
	binary.BigEndian.PutUint32(info[idAt+16:], 0x1000) // SPI
	info[idAt+20] = unix.IPPROTO_ESP                   //
	copy(info[sourceAt:], []byte{192, 0, 2, 2})        //
	for at := limitsAt; at < limitsAt+32; at += 8 {    // byte and packet limits, soft and hard: none
		binary.NativeEndian.PutUint64(info[at:], 1<<64-1)
	}
	binary.NativeEndian.PutUint16(info[familyAt:], unix.AF_INET)
	info[modeAt] = tunnel

	algorithm := make([]byte, 64, 64+8+bytes)
	copy(algorithm, "rfc4106(gcm(aes))")
	algorithm = append(append(algorithm, u32(keyBits)...), u32(authBits)...)
	algorithm = append(algorithm, make([]byte, bytes)...)

	return inNamespace(func() error {
		err := request(unix.NETLINK_XFRM, newSA, unix.NLM_F_CREATE|unix.NLM_F_EXCL, append(info, attr(algAEAD, algorithm)...))
		return asNo(err, unix.EPROTONOSUPPORT, unix.ENOSYS)
	})
}

// abortUDP has the kernel end a UDP socket: SOCK_DESTROY with struct inet_diag_req_v2 of linux/inet_diag.h.
func abortUDP() error {
	const sizeofRequest, portAt, cookieAt = 56, 8, 48
	return inNamespace(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := unix.Bind(fd, &unix.SockaddrInet4{}); err != nil {
			return err
		}
		at, err := unix.Getsockname(fd)
		if err != nil {
			return err
		}
		b := make([]byte, sizeofRequest)
		b[0], b[1] = unix.AF_INET, unix.IPPROTO_UDP
		binary.BigEndian.PutUint16(b[portAt:], uint16(at.(*unix.SockaddrInet4).Port))
		binary.NativeEndian.PutUint64(b[cookieAt:], 1<<64-1) // of any socket
		return asNo(request(unix.NETLINK_SOCK_DIAG, unix.SOCK_DESTROY, 0, b), unix.EOPNOTSUPP, unix.ENOENT)
	})
}

// genericNetlink asks for a family of generic netlink by its name (linux/genetlink.h).
func genericNetlink(family string) func() error {
	return func() error {
		header := []byte{unix.CTRL_CMD_GETFAMILY, 1, 0, 0} // command, version
		err := request(unix.NETLINK_GENERIC, unix.GENL_ID_CTRL, 0, append(header, attr(unix.CTRL_ATTR_FAMILY_NAME, []byte(family+"\x00"))...))
		return asNo(err, unix.ENOENT)
	}
}

// request sends one request to the kernel and returns its answer: nil or the error.
func request(protocol int, kind uint16, flags uint16, payload []byte) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return asNo(fmt.Errorf("netlink socket: %w", err), unix.EPROTONOSUPPORT)
	}
	defer unix.Close(fd)
	header := u32(uint32(unix.SizeofNlMsghdr + len(payload)))
	header = binary.NativeEndian.AppendUint16(header, kind)
	header = binary.NativeEndian.AppendUint16(header, flags|unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	header = append(header, make([]byte, 8)...) // sequence, port
	if err := unix.Sendto(fd, append(header, payload...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("netlink request: %w", err)
	}
	answer := make([]byte, 1<<14)
	for {
		n, _, err := unix.Recvfrom(fd, answer, 0)
		switch {
		case err != nil:
			return fmt.Errorf("netlink answer: %w", err)
		case n < unix.SizeofNlMsghdr+4:
			return errors.New("netlink answer: cut short")
		case binary.NativeEndian.Uint16(answer[4:]) != unix.NLMSG_ERROR:
			continue // What was asked for; the acknowledgement follows.
		}
		if errno := -int32(binary.NativeEndian.Uint32(answer[unix.SizeofNlMsghdr:])); errno != 0 {
			return unix.Errno(errno)
		}
		return nil
	}
}

// attr is one attribute: length, type, payload, padded to four bytes.
func attr(kind uint16, payload []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(unix.SizeofNlAttr+len(payload)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, payload...)
	for len(b)%unix.NLA_ALIGNTO != 0 {
		b = append(b, 0)
	}
	return b
}

func u32(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }
