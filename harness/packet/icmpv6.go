package packet

import (
	"net"
	"net/netip"
)

// ICMPv6 is an ICMPv6 message (RFC 4443), neighbour discovery (RFC 4861) included.
type ICMPv6 struct {
	Src      netip.Addr
	Dst      netip.Addr // default: of a neighbour solicitation, the group of its target
	Type     ICMPv6Type // default: ICMPv6EchoRequest
	Code     uint8
	ID, Seq  uint16   // echo only; default as Echo
	MTU      uint32   // ICMPv6PacketTooBig only
	Embedded Template // the packet that an error is about, from its IPv6 header on
	Payload  []byte   // of echoes, what follows the cookie

	// Neighbour discovery only.
	Target                      netip.Addr
	Router, Solicited, Override bool
	// LinkAddr is the link-layer address option: of the source in a solicitation,
	// of the target in an advertisement. Default: Defaults.SrcMAC.
	LinkAddr net.HardwareAddr

	Checksum uint16 // computed unless set
}

func (ICMPv6) template() {}

// ICMPv6Type is the type of an ICMPv6 message.
type ICMPv6Type uint8

// ICMPv6 types.
const (
	ICMPv6DestinationUnreachable ICMPv6Type = 1
	ICMPv6PacketTooBig           ICMPv6Type = 2
	ICMPv6TimeExceeded           ICMPv6Type = 3
	ICMPv6ParameterProblem       ICMPv6Type = 4
	ICMPv6EchoRequest            ICMPv6Type = 128
	ICMPv6EchoReply              ICMPv6Type = 129
	ICMPv6RouterSolicitation     ICMPv6Type = 133
	ICMPv6RouterAdvertisement    ICMPv6Type = 134
	ICMPv6NeighbourSolicitation  ICMPv6Type = 135
	ICMPv6NeighbourAdvertisement ICMPv6Type = 136
)

// Codes of ICMPv6DestinationUnreachable.
const (
	ICMPv6NoRoute            = 0
	ICMPv6AdminProhibited    = 1
	ICMPv6AddressUnreachable = 3
	ICMPv6PortUnreachable    = 4
)

// WhoHas asks for the link-layer address of addr: an ARP request or a neighbour
// solicitation, by the family of addr.
func WhoHas(addr netip.Addr) Template { return Raw(nil) }

// IsAt says that addr has the link-layer address mac: an ARP reply or a neighbour
// advertisement, by the family of addr. A nil mac means the sender's own when
// sent, and any when expected.
func IsAt(addr netip.Addr, mac net.HardwareAddr) Template { return Raw(nil) }
