package packet

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// A Template says what a packet looks like. The same value sends and matches:
// a field that is zero means the default when sent (see each layer), and
// anything when expected.
//
// A template of one layer completes itself. TCP{Dst: addr} implies an IP header
// of the address's family and an Ethernet header in front of it. Layers says
// more than one layer, Zero asks for a zero that means zero.
//
// The templates are the layer types of this package, Layers, Zero and Raw.
type Template interface {
	template()
	String() string // what the template names
}

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

// String returns the layers in their order.
func (l Layers) String() string {
	var said []string
	for _, t := range l {
		said = append(said, fmt.Sprint(t))
	}
	return strings.Join(said, " ")
}

// Zero names fields of the layer before it, by their Go names, that are zero
// and mean it: zero is sent in place of the default, and nothing but zero is
// what matches.
//
//	packet.Layers{packet.UDP{Dst: dns}, packet.Zero{"Checksum"}}  // sent without checksum
//	packet.Layers{packet.TCP{Dst: web}, packet.Zero{"Seq", "Flags"}}
type Zero []string

func (Zero) template() {}

// String returns the names.
func (z Zero) String() string { return fmt.Sprintf("Zero%q", []string(z)) }

// Raw is bytes that no other layer says. As the only layer it is the whole
// frame; after a header it is what that header carries. Raw carries no cookie
// but one that is already in it.
type Raw []byte

func (Raw) template() {}

// String returns text quoted, other bytes in hex.
func (r Raw) String() string { return fmt.Sprintf("Raw{%s}", showBytes(r)) }

// Defaults are the values that Build uses where a template leaves them open.
type Defaults struct {
	SrcMAC, DstMAC   net.HardwareAddr
	SrcIPv4, SrcIPv6 netip.Addr
	// Cookie is the number by which the packet is found again; 0 sends the
	// packet without one.
	Cookie uint64
}
