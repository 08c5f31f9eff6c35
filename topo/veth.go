package topo

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"unsafe"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// An end is one end of a veth pair, or the bridge of the switch, which has no peer.
type end struct {
	Device
	machine   *Machine
	peer      *end
	master    int // interface index of the bridge it is a port of; 0 is none
	reception reception
	down      atomic.Bool // taken down by SetLink or SetPort
}

// newPair makes a veth pair. Both ends are made in their namespaces, under their names and indexes, by this one request:
// nothing is moved or renamed. End a is up from the start; the carrier comes when the other is.
func newPair(a *end, mtu int, merge bool) request {
	req := nl.NewNetlinkRequest(unix.RTM_NEWLINK, create)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index, msg.Flags, msg.Change = int32(a.Index), unix.IFF_UP, unix.IFF_UP
	req.AddData(msg)
	for _, attr := range a.attributes(mtu, merge) {
		req.AddData(attr)
	}

	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("veth"))
	peer := info.AddRtAttr(nl.IFLA_INFO_DATA, nil).AddRtAttr(nl.VETH_INFO_PEER, nil)
	nl.NewIfInfomsgChild(peer, unix.AF_UNSPEC).Index = int32(a.peer.Index)
	for _, attr := range a.peer.attributes(mtu, merge) {
		peer.AddChild(attr)
	}
	req.AddData(info)
	return request{fmt.Sprintf("making the pair %s - %s", a.Device, a.peer.Device), req}
}

func (e *end) attributes(mtu int, merge bool) []*nl.RtAttr {
	attrs := []*nl.RtAttr{
		nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(e.Name)),
		nl.NewRtAttr(unix.IFLA_ADDRESS, e.MAC),
		nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(mtu))),
		nl.NewRtAttr(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(e.machine.ns))),
	}
	if e.master != 0 {
		attrs = append(attrs, nl.NewRtAttr(unix.IFLA_MASTER, nl.Uint32Attr(uint32(e.master))))
	}
	if !merge {
		// No two packets fit into one this short, so GRO never merges any. Kernels before 5.19 do not know the attribute.
		attrs = append(attrs, nl.NewRtAttr(unix.IFLA_GRO_MAX_SIZE, nl.Uint32Attr(1)))
	}
	return attrs
}

// ethtool commands (include/uapi/linux/ethtool.h).
const (
	setTxChecksum    = 0x17
	setScatterGather = 0x19
	setTSO           = 0x1f
	setGSO           = 0x24
	setGRO           = 0x2c
)

// offloads turns the offloads of an end off, unless they are wanted, and GRO on where it is needed to receive.
func (e *end) offloads(wanted bool) error {
	off := []uint32{setTxChecksum, setTSO, setGSO, setScatterGather}
	if e.reception != receiveByGRO {
		// Before 5.13 a veth has it on, and merges packets where there is an XDP program, or what IPsec decrypted.
		off = append(off, setGRO)
	}
	if wanted {
		off = nil
	}
	for _, command := range off {
		// What the device has not got is off: it has no TSO when its peer receives by XDP.
		if err := ethtool(e.machine.rtnl.fd, e.Name, command, 0); err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
			return fmt.Errorf("turning the offloads of %s off: %w", e, err)
		}
	}
	if e.reception == receiveByGRO {
		if err := ethtool(e.machine.rtnl.fd, e.Name, setGRO, 1); err != nil {
			return fmt.Errorf("turning GRO of %s on: %w", e, err)
		}
	}
	return nil
}

// ethtool sets one value of a device in the namespace of a socket.
func ethtool(fd int, device string, command, value uint32) error {
	data := struct{ command, value uint32 }{command, value} // struct ethtool_value
	var request struct {                                    // struct ifreq
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}
	copy(request.name[:], device)
	request.data = unsafe.Pointer(&data)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	runtime.KeepAlive(&data)
	if errno != 0 {
		return errno
	}
	return nil
}
