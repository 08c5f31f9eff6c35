package packet

import (
	"net/netip"
)

// IPv4 is an IPv4 header (RFC 791).
type IPv4 struct {
	Src netip.Addr // default: that of the layer it carries, else Defaults.SrcIPv4
	Dst netip.Addr // default: that of the layer it carries
	TTL uint8      // default: 64
	TOS uint8
	// ID is 0 by default, and DF set, as Linux sends packets outside of a
	// connection: the ID of a packet that cannot be fragmented means nothing
	// (RFC 6864). A fragment has no DF by default.
	ID         uint16
	DF, MF     bool
	FragOffset uint16   // in bytes, a multiple of 8
	Protocol   Protocol // default: that of the next layer
	Options    []Option

	// Computed unless set, so that a header may lie.
	IHL      uint8  // header length in 4-byte words
	Length   uint16 // header and payload in bytes
	Checksum uint16
}

func (IPv4) template() {}

// IPv6 is an IPv6 header (RFC 8200).
type IPv6 struct {
	Src          netip.Addr // default: that of the layer it carries, else Defaults.SrcIPv6
	Dst          netip.Addr // default: that of the layer it carries
	HopLimit     uint8      // default: 64, 255 for neighbour discovery
	TrafficClass uint8
	FlowLabel    uint32
	NextHeader   Protocol // default: that of the next layer

	Length uint16 // payload in bytes; computed unless set
}

func (IPv6) template() {}

// Protocol is an IP protocol number.
type Protocol uint8

// The protocols that this package understands.
const (
	ProtocolICMP     Protocol = 1
	ProtocolIPv4     Protocol = 4 // IPIP
	ProtocolTCP      Protocol = 6
	ProtocolUDP      Protocol = 17
	ProtocolIPv6     Protocol = 41
	ProtocolFragment Protocol = 44
	ProtocolICMPv6   Protocol = 58
)

// Option is an option of an IPv4 or TCP header. When expected, each option of
// the template has to be in the packet, in whatever order.
type Option struct {
	Kind uint8
	Data []byte // what follows kind and length; nothing for kinds 0 and 1
}

// A Port is a port of TCP or UDP.
type Port struct {
	Protocol Protocol
	Number   uint16
}

// TCPPort returns the TCP port of that number.
func TCPPort(number uint16) Port { return Port{ProtocolTCP, number} }

// UDPPort returns the UDP port of that number.
func UDPPort(number uint16) Port { return Port{ProtocolUDP, number} }
