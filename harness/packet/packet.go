// Package packet says packets as plain values that are sent and matched alike.
//
//	p, err := packet.Build(packet.TCP{Dst: web, Flags: packet.SYN}, defaults)
//	mismatch := packet.Match(packet.TCP{Dst: web, Flags: packet.SYN}, p)
//
// A built packet carries full checksums and, at the start of its payload, a
// cookie by which it is found again after address translation, encapsulation,
// or being quoted in an ICMP error.
package packet

import (
	"fmt"
	"net/netip"
)

// A Packet is one frame, as it stands on the wire and as what it means. Build and
// Decode make packets.
type Packet struct {
	// Data is the frame from the Ethernet header on.
	Data []byte
	// Layers is what Data says, outermost first: values with every field set,
	// checksums and lengths too. Payloads are without cookie. The packet that an
	// ICMP error quotes is the Embedded of its layer. Bytes that could not be
	// understood are the last layer, as Raw.
	Layers Layers

	sections  []section // the layers where they stand, those that are quoted too
	malformed error     // what kept Decode from understanding the rest
}

// Cookie returns the number of the packet's cookie.
func (p *Packet) Cookie() (number uint64, ok bool) { return FindCookie(p.Data) }

// Src returns the source of the outermost IP header, with the port of the TCP or
// UDP header that it carries, if any; zero if there is no IP header.
func (p *Packet) Src() netip.AddrPort {
	src, _ := p.ends(p.outermostIP())
	return src
}

// Dst returns the destination, as Src returns the source.
func (p *Packet) Dst() netip.AddrPort {
	_, dst := p.ends(p.outermostIP())
	return dst
}

// Ethernet returns the outermost Ethernet header.
func (p *Packet) Ethernet() (Ethernet, bool) { return find[Ethernet](p) }

// ARP returns the ARP message.
func (p *Packet) ARP() (ARP, bool) { return find[ARP](p) }

// IPv4 returns the outermost IPv4 header.
func (p *Packet) IPv4() (IPv4, bool) { return find[IPv4](p) }

// IPv6 returns the outermost IPv6 header.
func (p *Packet) IPv6() (IPv6, bool) { return find[IPv6](p) }

// TCP returns the outermost TCP segment, which may be in a tunnel but is not one
// that an ICMP error quotes.
func (p *Packet) TCP() (TCP, bool) { return find[TCP](p) }

// UDP returns the outermost UDP datagram, as TCP.
func (p *Packet) UDP() (UDP, bool) { return find[UDP](p) }

// ICMP returns the outermost ICMP message of IPv4.
func (p *Packet) ICMP() (ICMP, bool) { return find[ICMP](p) }

// ICMPv6 returns the outermost ICMPv6 message.
func (p *Packet) ICMPv6() (ICMPv6, bool) { return find[ICMPv6](p) }

// VXLAN returns the VXLAN header.
func (p *Packet) VXLAN() (VXLAN, bool) { return find[VXLAN](p) }

// find returns the outermost layer of type T.
func find[T Template](p *Packet) (T, bool) {
	for _, l := range p.Layers {
		if found, ok := l.(T); ok {
			return found, true
		}
	}
	var none T
	return none, false
}

// outermostIP returns the index of the first IP section, or -1.
func (p *Packet) outermostIP() int {
	for i, s := range p.sections {
		if isIP(s.layer) {
			return i
		}
	}
	return -1
}

// transportOf returns the index of the transport that the IP section at i
// carries, behind extension headers if need be; -1 if there is none.
func (p *Packet) transportOf(i int) int {
	for j := i + 1; j < len(p.sections); j++ {
		switch l := p.sections[j].layer; {
		case isTransport(l):
			return j
		case !isExtension(l):
			return -1
		}
	}
	return -1
}

// ends returns source and destination of the IP section at i, with ports if its
// transport has any.
func (p *Packet) ends(i int) (src, dst netip.AddrPort) {
	if i < 0 {
		return src, dst
	}
	if t := p.transportOf(i); t >= 0 {
		switch l := p.sections[t].layer.(type) {
		case TCP:
			return l.Src, l.Dst
		case UDP:
			return l.Src, l.Dst
		}
	}
	a, b := p.sections[i].layer.(addressed).addresses()
	return netip.AddrPortFrom(a, 0), netip.AddrPortFrom(b, 0)
}

// label names the section at i: by its type, with a number from the second of a
// type on.
func (p *Packet) label(i int) string {
	name, count := nameOf(p.sections[i].layer), 1
	for _, s := range p.sections[:i] {
		if nameOf(s.layer) == name {
			count++
		}
	}
	if count == 1 {
		return name
	}
	return fmt.Sprintf("%s(%d)", name, count)
}
