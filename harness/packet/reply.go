package packet

import (
	"fmt"
)

// Reply returns the TCP segment with those flags that answers p: MACs, addresses
// and ports swapped, Seq what p acknowledges, Ack the end of p. Of a packet in a
// tunnel, it answers the inner one, without the tunnel.
//
// To answer a packet that is no TCP is an error of Build.
func (p *Packet) Reply(flags Flags) Template {
	return p.reply(func(s *section) Template {
		if in, ok := s.layer.(TCP); ok {
			return TCP{Src: in.Dst, Dst: in.Src, Flags: flags, Seq: in.Ack, Ack: in.end(s)}
		}
		return nil
	})
}

// ReplyWith returns the answer to p that carries payload: a TCP segment with PSH
// and ACK, a UDP datagram, or an echo reply. A nil payload answers an echo with its own.
func (p *Packet) ReplyWith(payload []byte) Template {
	return p.reply(func(s *section) Template {
		switch in := s.layer.(type) {
		case TCP:
			return TCP{Src: in.Dst, Dst: in.Src, Flags: PSH | ACK, Seq: in.Ack, Ack: in.end(s), Payload: payload}
		case UDP:
			return UDP{Src: in.Dst, Dst: in.Src, Payload: payload}
		case ICMP:
			if in.Type == ICMPEchoRequest {
				return Echo{Src: in.Dst, Dst: in.Src, Reply: true, ID: in.ID, Seq: in.Seq, Payload: either(payload, in.Payload)}
			}
		case ICMPv6:
			if in.Type == ICMPv6EchoRequest {
				return Echo{Src: in.Dst, Dst: in.Src, Reply: true, ID: in.ID, Seq: in.Seq, Payload: either(payload, in.Payload)}
			}
		}
		return nil
	})
}

// reply returns what answer makes of the innermost transport of p, in a frame
// back to where p came from.
func (p *Packet) reply(answer func(*section) Template) Template {
	var frame Ethernet
	var to *section
	for i := range p.sections {
		s := &p.sections[i]
		if s.quotes > 0 {
			break
		}
		if ethernet, ok := s.layer.(Ethernet); ok {
			frame = ethernet
		}
		if isTransport(s.layer) {
			to = s
		}
	}
	if to != nil {
		if t := answer(to); t != nil {
			return Layers{frame.back(), t}
		}
	}
	return invalid{fmt.Errorf("there is no such reply to %s", p)}
}

// back returns the header of the frame in the other direction. A group sends
// nothing, so the reply to one has the source that is the sender's default.
func (l Ethernet) back() Ethernet {
	if l.Dst[0]&1 != 0 {
		return Ethernet{Dst: l.Src}
	}
	return Ethernet{Src: l.Dst, Dst: l.Src}
}

// end returns the sequence number after the segment.
func (l TCP) end(s *section) uint32 {
	end := l.Seq + uint32(len(s.payload()))
	if l.Flags&SYN != 0 {
		end++
	}
	if l.Flags&FIN != 0 {
		end++
	}
	return end
}

// Quote returns p from its outermost IP header on, as an ICMP error about it
// embeds it, cut to what errors have room for. It keeps the cookie of p.
func (p *Packet) Quote() Template {
	i := p.outermostIP()
	if i < 0 {
		return invalid{fmt.Errorf("nothing to quote, as there is no IP header: %s", p)}
	}
	room := 576 - ipv4Size - icmpSize // RFC 1812, 4.3.2.3
	if _, ok := p.sections[i].layer.(IPv6); ok {
		room = 1280 - ipv6Size - 8 // RFC 4443, 2.4
	}
	packet := p.sections[i].data
	return Raw(packet[:min(room, len(packet))])
}

func either(payload, def []byte) []byte {
	if payload != nil {
		return payload
	}
	return def
}
