package topo

import (
	"encoding/binary"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Numbers of WireGuard's generic netlink family (include/uapi/linux/wireguard.h).
const (
	wgFamily       = "wireguard"
	wgCmdSetDevice = 1
	wgVersion      = 1

	wgDeviceIfindex    = 1
	wgDevicePrivateKey = 3
	wgDeviceListenPort = 6
	wgDevicePeers      = 8

	wgPeerPublicKey  = 1
	wgPeerEndpoint   = 4
	wgPeerAllowedIPs = 9

	wgAllowedFamily = 1
	wgAllowedAddr   = 2
	wgAllowedBits   = 3
)

// A wireGuardPeer is another node: what it may send from, and where it is found.
type wireGuardPeer struct {
	key      []byte // public, 32 bytes
	endpoint netip.AddrPort
	allowed  []netip.Prefix
}

// newWireGuard makes a device, which is down. Its UDP socket is in the namespace that it is made in.
func newWireGuard(d Device, mtu int) request {
	req := nl.NewNetlinkRequest(unix.RTM_NEWLINK, create)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(d.Index)
	req.AddData(msg)
	req.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(d.Name)))
	req.AddData(nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(mtu))))
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated(wgFamily))
	req.AddData(info)
	return request{"making " + d.String(), req}
}

// setWireGuard gives a device of the calling thread's namespace its key and its peers.
func setWireGuard(d Device, private []byte, peers []wireGuardPeer) error {
	family, err := netlink.GenlFamilyGet(wgFamily)
	if err != nil {
		return err
	}
	req := nl.NewNetlinkRequest(int(family.ID), unix.NLM_F_ACK)
	req.AddData(genericHeader{wgCmdSetDevice, wgVersion})
	req.AddData(nl.NewRtAttr(wgDeviceIfindex, nl.Uint32Attr(uint32(d.Index))))
	req.AddData(nl.NewRtAttr(wgDevicePrivateKey, private))
	req.AddData(nl.NewRtAttr(wgDeviceListenPort, nl.Uint16Attr(WireGuardPort)))
	list := nl.NewRtAttr(wgDevicePeers|unix.NLA_F_NESTED, nil)
	for _, p := range peers {
		peer := list.AddRtAttr(unix.NLA_F_NESTED, nil)
		peer.AddRtAttr(wgPeerPublicKey, p.key)
		peer.AddRtAttr(wgPeerEndpoint, sockaddr(p.endpoint))
		allowed := peer.AddRtAttr(wgPeerAllowedIPs|unix.NLA_F_NESTED, nil)
		for _, prefix := range p.allowed {
			one := allowed.AddRtAttr(unix.NLA_F_NESTED, nil)
			one.AddRtAttr(wgAllowedFamily, nl.Uint16Attr(uint16(familyOf(prefix.Addr()).number())))
			one.AddRtAttr(wgAllowedAddr, prefix.Addr().AsSlice())
			one.AddRtAttr(wgAllowedBits, nl.Uint8Attr(uint8(prefix.Bits())))
		}
	}
	req.AddData(list)
	_, err = req.Execute(unix.NETLINK_GENERIC, 0)
	return err
}

// genericHeader is struct genlmsghdr: command, version, and 16 reserved bits that recent kernels want to be 0.
// (The library's own has what lies behind it in memory there.)
type genericHeader [4]byte

func (h genericHeader) Len() int          { return len(h) }
func (h genericHeader) Serialize() []byte { return h[:] }

// sockaddr is struct sockaddr_in: the family in host byte order, port and address in network byte order.
func sockaddr(ipv4 netip.AddrPort) []byte {
	b := make([]byte, unix.SizeofSockaddrInet4)
	binary.NativeEndian.PutUint16(b, unix.AF_INET)
	binary.BigEndian.PutUint16(b[2:], ipv4.Port())
	copy(b[4:], ipv4.Addr().AsSlice())
	return b
}
