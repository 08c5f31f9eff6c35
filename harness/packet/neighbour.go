package packet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// WhoHas asks for the link-layer address of addr: an ARP request or a neighbour
// solicitation, by the family of addr.
func WhoHas(addr netip.Addr) Template {
	if addr = plain(addr); addr.Is4() {
		return ARP{Op: ARPRequest, TargetIP: addr}
	}
	return ICMPv6{Type: ICMPv6NeighbourSolicitation, Target: addr}
}

// IsAt says that addr has the link-layer address mac: an ARP reply or a neighbour
// advertisement, by the family of addr. A nil mac is the sender's own when sent,
// and any when expected.
func IsAt(addr netip.Addr, mac net.HardwareAddr) Template {
	if addr = plain(addr); addr.Is4() {
		return ARP{Op: ARPReply, SenderIP: addr, SenderMAC: mac}
	}
	return ICMPv6{Type: ICMPv6NeighbourAdvertisement, Target: addr, LinkAddr: mac}
}

// isNeighbour reports whether messages of the type have a Target.
func (t ICMPv6Type) isNeighbour() bool {
	return t == ICMPv6NeighbourSolicitation || t == ICMPv6NeighbourAdvertisement
}

// isNeighbourDiscovery reports whether receivers want a hop limit of 255.
func (t ICMPv6Type) isNeighbourDiscovery() bool {
	return t >= ICMPv6RouterSolicitation && t <= ICMPv6NeighbourAdvertisement
}

// neighbourGroup returns the multicast group that hears t where t names no
// destination: the target's solicited-node group (RFC 4291, 2.7.1) for a
// solicitation, all nodes for an advertisement. Others have none.
func neighbourGroup(t Template) netip.Addr {
	l, ok := t.(ICMPv6)
	if !ok || !l.Target.Is6() {
		return netip.Addr{}
	}
	switch l.Type {
	case ICMPv6NeighbourSolicitation:
		group := netip.MustParseAddr("ff02::1:ff00:0").As16()
		target := l.Target.As16()
		copy(group[13:], target[13:])
		return netip.AddrFrom16(group)
	case ICMPv6NeighbourAdvertisement:
		return netip.IPv6LinkLocalAllNodes()
	}
	return netip.Addr{}
}

// The flags of an advertisement, as they stand in its header.
const (
	flagRouter    = 0x80
	flagSolicited = 0x40
	flagOverride  = 0x20
)

func (l ICMPv6) prependNeighbour(b gopacket.SerializeBuffer) error {
	if !l.Target.Is6() {
		return errors.New("its Target has to be an IPv6 address")
	}
	if len(l.LinkAddr) != 6 {
		return fmt.Errorf("LinkAddr has %d bytes, not 6", len(l.LinkAddr))
	}
	target := l.Target.AsSlice()
	if l.Type == ICMPv6NeighbourSolicitation {
		wire := layers.ICMPv6NeighborSolicitation{
			TargetAddress: target,
			Options:       layers.ICMPv6Options{{Type: layers.ICMPv6OptSourceAddress, Data: l.LinkAddr}},
		}
		return wire.SerializeTo(b, computed)
	}
	wire := layers.ICMPv6NeighborAdvertisement{
		TargetAddress: target,
		Options:       layers.ICMPv6Options{{Type: layers.ICMPv6OptTargetAddress, Data: l.LinkAddr}},
	}
	for flag, set := range map[uint8]bool{flagRouter: l.Router, flagSolicited: l.Solicited, flagOverride: l.Override} {
		if set {
			wire.Flags |= flag
		}
	}
	return wire.SerializeTo(b, computed)
}

// readNeighbour reads what follows the checksum. Both messages have the same
// form; in a solicitation the flags are reserved.
func (l *ICMPv6) readNeighbour(b []byte, d *decoder) error {
	var wire layers.ICMPv6NeighborAdvertisement
	if err := wire.DecodeFromBytes(b, d); err != nil {
		return fmt.Errorf("ICMPv6 %s: %w", l.Type, err)
	}
	l.Target = addrOf(wire.TargetAddress)
	option := layers.ICMPv6OptSourceAddress
	if l.Type == ICMPv6NeighbourAdvertisement {
		option = layers.ICMPv6OptTargetAddress
		l.Router, l.Solicited, l.Override = wire.Router(), wire.Solicited(), wire.Override()
	}
	for _, o := range wire.Options {
		if o.Type == option && len(o.Data) == 6 {
			l.LinkAddr = net.HardwareAddr(o.Data)
		}
	}
	return nil
}
