package packet

import "net/netip"

// Echo is an ICMP echo request, or a reply, of the family of its addresses.
type Echo struct {
	Src, Dst netip.Addr
	Reply    bool   // an echo reply; otherwise a request, also when expected
	ID       uint16 // default: see SourcePort
	Seq      uint16 // default: 1
	Payload  []byte // what follows the cookie
}

func (Echo) template() {}

// ICMP is an ICMP message of IPv4 (RFC 792).
type ICMP struct {
	Src, Dst netip.Addr
	Type     ICMPType // default: ICMPEchoRequest
	Code     uint8
	ID, Seq  uint16   // echo only; default as Echo
	MTU      uint16   // ICMPFragmentationNeeded only
	Embedded Template // the packet that an error is about, from its IP header on
	Payload  []byte   // of echoes, what follows the cookie

	Checksum uint16 // computed unless set
}

func (ICMP) template() {}

// ICMPType is the type of an ICMP message.
type ICMPType uint8

// ICMP types.
const (
	ICMPEchoReply              ICMPType = 0
	ICMPDestinationUnreachable ICMPType = 3
	ICMPRedirect               ICMPType = 5
	ICMPEchoRequest            ICMPType = 8
	ICMPTimeExceeded           ICMPType = 11
	ICMPParameterProblem       ICMPType = 12
)

// Codes of ICMPDestinationUnreachable.
const (
	ICMPNetUnreachable      = 0
	ICMPHostUnreachable     = 1
	ICMPProtocolUnreachable = 2
	ICMPPortUnreachable     = 3
	ICMPFragmentationNeeded = 4
	ICMPAdminProhibited     = 13
)
