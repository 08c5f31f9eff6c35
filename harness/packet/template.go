package packet

import (
	"net"
	"net/netip"
)

// A Template says what a packet looks like. The same value sends and matches:
// a field that is zero means the default when sent (see each layer), and
// anything when expected.
//
// A template of one layer completes itself. TCP{Dst: addr} implies an IP header
// of the address's family and an Ethernet header in front of it. Layers says
// more than one layer, Zero asks for a zero that means zero.
//
// The templates are the layer types of this package, Layers, and Raw.
type Template interface{ template() }

// Layers says several layers of a packet, outermost first, as in
//
//	packet.Layers{packet.IPv4{TTL: 1}, packet.TCP{Dst: web}}
//
// Layers that are not named are implied. Nesting makes tunnels: an IPv4 header
// followed by another is IPIP, and what follows VXLAN is a frame of its own.
// Addresses may be given in the IP header or in the layer that it carries.
//
// When expected, layers that follow the last one named may be anything, and
// IPv6 extension headers that are not named are passed over. Layers{} is any
// packet at all.
type Layers []Template

func (Layers) template() {}

// Zero names fields of the layer before it, by their Go names, that are zero
// and mean it: zero is sent in place of the default, and nothing but zero is
// what matches.
//
//	packet.Layers{packet.UDP{Dst: dns}, packet.Zero{"Checksum"}}  // sent without checksum
//	packet.Layers{packet.TCP{Dst: web}, packet.Zero{"Seq", "Flags"}}
type Zero []string

func (Zero) template() {}

// Raw is bytes that no other layer says. As the only layer it is the whole
// frame; after a header it is what that header carries. Raw carries no cookie
// but one that is already in it.
type Raw []byte

func (Raw) template() {}

// Defaults are the values that Build uses where a template leaves them open.
type Defaults struct {
	SrcMAC, DstMAC   net.HardwareAddr
	SrcIPv4, SrcIPv6 netip.Addr
	// Cookie is the number by which the packet is found again; 0 sends the
	// packet without one.
	Cookie uint64
}
