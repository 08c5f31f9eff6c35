package packet

import (
	"fmt"
	"net/netip"
)

// Protocol is an IP protocol number.
type Protocol uint8

// The protocols that this package understands.
const (
	ProtocolHopByHop    Protocol = 0
	ProtocolICMP        Protocol = 1
	ProtocolIPv4        Protocol = 4 // IPIP
	ProtocolTCP         Protocol = 6
	ProtocolUDP         Protocol = 17
	ProtocolIPv6        Protocol = 41
	ProtocolRouting     Protocol = 43
	ProtocolFragment    Protocol = 44
	ProtocolICMPv6      Protocol = 58
	ProtocolNone        Protocol = 59 // IPv6: nothing follows
	ProtocolDestination Protocol = 60
	ProtocolReserved    Protocol = 255
)

var protocolNames = map[Protocol]string{
	ProtocolHopByHop:    "hop-by-hop",
	ProtocolICMP:        "ICMP",
	ProtocolIPv4:        "IPv4",
	ProtocolTCP:         "TCP",
	ProtocolUDP:         "UDP",
	ProtocolIPv6:        "IPv6",
	ProtocolRouting:     "routing",
	ProtocolFragment:    "fragment",
	ProtocolICMPv6:      "ICMPv6",
	ProtocolNone:        "none",
	ProtocolDestination: "destination",
}

func (p Protocol) String() string {
	if name, ok := protocolNames[p]; ok {
		return name
	}
	return fmt.Sprint(uint8(p))
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

// String returns the port as in "TCP 80".
func (p Port) String() string { return fmt.Sprintf("%s %d", p.Protocol, p.Number) }

// protocolOf returns the number by which an IP header announces t.
func protocolOf(t Template, none Protocol) Protocol {
	switch t := t.(type) {
	case IPv4:
		return ProtocolIPv4
	case IPv6:
		return ProtocolIPv6
	case TCP:
		return ProtocolTCP
	case UDP:
		return ProtocolUDP
	case ICMP:
		return ProtocolICMP
	case ICMPv6:
		return ProtocolICMPv6
	case IPv6Extension:
		return t.Protocol
	case IPv6Fragment:
		return ProtocolFragment
	}
	return none
}

// stepOf returns what reads the header of protocol p, after an IPv6 header if v6.
func stepOf(p Protocol, v6 bool) step {
	switch p {
	case ProtocolIPv4:
		return (*decoder).ipv4
	case ProtocolIPv6:
		return (*decoder).ipv6
	case ProtocolTCP:
		return (*decoder).tcp
	case ProtocolUDP:
		return (*decoder).udp
	}
	if !v6 {
		if p == ProtocolICMP {
			return (*decoder).icmp
		}
		return nil
	}
	switch p {
	case ProtocolICMPv6:
		return (*decoder).icmpv6
	case ProtocolFragment:
		return (*decoder).ipv6Fragment
	case ProtocolHopByHop, ProtocolRouting, ProtocolDestination:
		return func(d *decoder) (step, error) { return d.ipv6Extension(p) }
	}
	return nil
}

// quoted reads the packet that an ICMP error quotes.
func (d *decoder) quoted() (step, error) {
	if len(d.rest.b) == 0 {
		return nil, nil
	}
	switch d.rest.b[0] >> 4 {
	case 4:
		return d.ipv4()
	case 6:
		return d.ipv6()
	}
	return nil, nil
}

// withAddr returns p with its address replaced by addr.
func withAddr(p netip.AddrPort, addr netip.Addr) netip.AddrPort {
	return netip.AddrPortFrom(addr, p.Port())
}
