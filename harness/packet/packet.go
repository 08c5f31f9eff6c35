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
	"net/netip"
)

// A Packet is one frame, as it stands on the wire and as what it means.
type Packet struct {
	// Data is the frame from the Ethernet header on.
	Data []byte
	// Layers is what Data says, outermost first: values with every field set,
	// checksums and lengths too. Payloads are without cookie. The packet that an
	// ICMP error quotes is the Embedded of its layer. Bytes that could not be
	// understood are the last layer, as Raw.
	Layers Layers
}

// Cookie returns the number of the packet's cookie.
func (p *Packet) Cookie() (number uint64, ok bool) { return FindCookie(p.Data) }

// Src returns the source of the outermost IP header, with the port of the TCP or
// UDP header that it carries, if any; zero if there is no IP header.
func (p *Packet) Src() netip.AddrPort { return netip.AddrPort{} }

// Dst returns the destination, as Src returns the source.
func (p *Packet) Dst() netip.AddrPort { return netip.AddrPort{} }

// Ethernet returns the outermost Ethernet header.
func (p *Packet) Ethernet() (Ethernet, bool) { return find[Ethernet](p) }

// ARP returns the ARP message.
func (p *Packet) ARP() (ARP, bool) { return find[ARP](p) }

// IPv4 returns the outermost IPv4 header.
func (p *Packet) IPv4() (IPv4, bool) { return find[IPv4](p) }

// IPv6 returns the outermost IPv6 header.
func (p *Packet) IPv6() (IPv6, bool) { return find[IPv6](p) }

// TCP returns the outermost TCP segment.
func (p *Packet) TCP() (TCP, bool) { return find[TCP](p) }

// UDP returns the outermost UDP datagram.
func (p *Packet) UDP() (UDP, bool) { return find[UDP](p) }

// ICMP returns the outermost ICMP message of IPv4.
func (p *Packet) ICMP() (ICMP, bool) { return find[ICMP](p) }

// ICMPv6 returns the outermost ICMPv6 message.
func (p *Packet) ICMPv6() (ICMPv6, bool) { return find[ICMPv6](p) }

// VXLAN returns the outermost VXLAN header.
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

// String returns the packet on one line.
func (p *Packet) String() string { return "" }

// Describe returns the packet layer by layer, one line each.
func (p *Packet) Describe() string { return "" }
