package packet

import (
	"fmt"
	"net/netip"
	"strings"
)

// String returns the packet on one line, what a header carries or quotes after a bar.
//
//	IPv4 172.31.0.1:20017 > 172.16.0.1:30080 TCP SYN ttl 64 len 16 #17
func (p *Packet) String() string {
	var line line
	for i, s := range p.sections {
		switch {
		case isTransport(s.layer):
			line.add(words(s.layer))
			line.endIP()
			line.add(fmt.Sprintf("len %d", len(s.payload())))
		case isExtension(s.layer):
			line.add(words(s.layer))
		case isIP(s.layer):
			line.bar(s.quotes)
			src, dst := p.ends(i)
			line.add(fmt.Sprintf("%s %s > %s", nameOf(s.layer), endpoint(src), endpoint(dst)))
			line.add(p.unread(i))
			line.hops = words(s.layer)
		case isEthernet(s.layer) && i+1 < len(p.sections) && !isRaw(p.sections[i+1].layer):
			// The next layer says enough.
		default:
			line.bar(s.quotes)
			line.add(words(s.layer))
		}
	}
	line.endIP()
	if cookie, ok := p.Cookie(); ok {
		line.add(fmt.Sprintf("#%d", cookie))
	}
	if p.malformed != nil {
		line.add(fmt.Sprintf("[%s]", p.malformed))
	}
	return strings.Join(line.words, " ")
}

// unread names what the IP section at i carries, unless a section of its own says so.
func (p *Packet) unread(i int) string {
	protocol := nextProtocol(p.sections[i].layer)
	for _, s := range p.sections[i+1:] {
		switch {
		case isExtension(s.layer):
			protocol = nextProtocol(s.layer)
		case isRaw(s.layer):
			return "protocol " + protocol.String()
		default:
			return ""
		}
	}
	return "protocol " + protocol.String()
}

func nextProtocol(t Template) Protocol {
	switch l := t.(type) {
	case IPv4:
		return l.Protocol
	case IPv6:
		return l.NextHeader
	case IPv6Extension:
		return l.NextHeader
	case IPv6Fragment:
		return l.NextHeader
	}
	return ProtocolNone
}

// A line is the words of a packet on the way to be one line.
type line struct {
	words  []string
	hops   string // said after the transport of the IP header that it is from
	quotes int
}

func (l *line) add(words string) {
	if words != "" {
		l.words = append(l.words, words)
	}
}

// endIP says what was held back until the transport was said.
func (l *line) endIP() {
	l.add(l.hops)
	l.hops = ""
}

// bar separates an inner packet from what came before.
func (l *line) bar(quotes int) {
	l.endIP()
	if len(l.words) > 0 {
		l.add("|")
	}
	if quotes > l.quotes {
		l.add("about")
	}
	l.quotes = quotes
}

// words says a layer, without what an IP header says for its transport.
func words(t Template) string {
	switch l := t.(type) {
	case Ethernet:
		return fmt.Sprintf("Ethernet %s > %s type %s", l.Src, l.Dst, l.Type)
	case ARP:
		return arpWords(l)
	case IPv4:
		return fragmentWords(l.FragOffset, l.MF) + fmt.Sprintf("ttl %d", l.TTL)
	case IPv6:
		return fmt.Sprintf("hop %d", l.HopLimit)
	case IPv6Extension:
		return l.Protocol.String()
	case IPv6Fragment:
		return strings.TrimSpace(fragmentWords(l.Offset, l.More))
	case TCP:
		return fmt.Sprintf("TCP %s", l.Flags)
	case UDP:
		return "UDP"
	case ICMP:
		return "ICMP " + l.Type.String() + icmpWords(l.Type.isEcho(), l.ID, l.Seq, l.Code, uint32(l.MTU))
	case ICMPv6:
		said := "ICMPv6 " + l.Type.String() + icmpWords(l.Type.isEcho(), l.ID, l.Seq, l.Code, l.MTU)
		if l.Type.isNeighbour() {
			said += " " + l.Target.String()
		}
		return said
	case VXLAN:
		return fmt.Sprintf("VXLAN %d", l.VNI)
	case Raw:
		return fmt.Sprintf("%d bytes", len(l))
	}
	return ""
}

func arpWords(l ARP) string {
	switch l.Op {
	case ARPRequest:
		return fmt.Sprintf("ARP who-has %s tell %s", l.TargetIP, l.SenderIP)
	case ARPReply:
		return fmt.Sprintf("ARP %s is-at %s", l.SenderIP, l.SenderMAC)
	}
	return fmt.Sprintf("ARP operation %s", l.Op)
}

func icmpWords(echo bool, id, seq uint16, code uint8, mtu uint32) string {
	said := ""
	if echo {
		said += fmt.Sprintf(" id %d seq %d", id, seq)
	}
	if code != 0 {
		said += fmt.Sprintf(" code %d", code)
	}
	if mtu != 0 {
		said += fmt.Sprintf(" mtu %d", mtu)
	}
	return said
}

// fragmentWords says the place of a fragment in bytes, with a plus if more follow.
func fragmentWords(offset uint16, more bool) string {
	switch {
	case more:
		return fmt.Sprintf("fragment %d+ ", offset)
	case offset > 0:
		return fmt.Sprintf("fragment %d ", offset)
	}
	return ""
}

// endpoint says an address, with a port if there is one.
func endpoint(a netip.AddrPort) string {
	if a.Port() == 0 {
		return a.Addr().String()
	}
	return a.String()
}
