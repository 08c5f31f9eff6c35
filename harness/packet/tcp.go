package packet

import (
	"net/netip"
)

// TCP is a TCP segment (RFC 9293).
type TCP struct {
	// An AddrPort with only its address or only its port set leaves the other open.
	Src     netip.AddrPort // default port: see SourcePort
	Dst     netip.AddrPort
	Flags   Flags  // default: SYN. Matches exactly: SYN does not match SYN|ACK
	Seq     uint32 // default: 1
	Ack     uint32
	Window  uint16 // default: 65535
	Urgent  uint16
	Options []Option
	Payload []byte // what follows the cookie

	// Computed unless set, so that a header may lie.
	DataOffset uint8 // header length in 4-byte words
	Checksum   uint16
}

func (TCP) template() {}

// Flags are the flags of a TCP header.
type Flags uint16

// The TCP flags, as they stand in the header.
const (
	FIN Flags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
	NS
)
