package packet

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// IPv6 is an IPv6 header (RFC 8200).
type IPv6 struct {
	Src          netip.Addr // default: that of the layer it carries, else Defaults.SrcIPv6
	Dst          netip.Addr // default: that of the layer it carries
	HopLimit     uint8      // default: 64, 255 for neighbour discovery
	TrafficClass uint8
	FlowLabel    uint32   // 20 bits
	NextHeader   Protocol // default: that of the next layer, or 59 (none)

	Length uint16 // payload in bytes; computed unless set
}

func (IPv6) template() {}

func (l IPv6) String() string { return say(l) }

func (l IPv6) addresses() (src, dst netip.Addr) { return l.Src, l.Dst }

func (l IPv6) withAddresses(src, dst netip.Addr) Template {
	l.Src, l.Dst = src, dst
	return l
}

const ipv6Size = 40

func (l IPv6) fill(f *filling) layer {
	hops := uint8(64)
	if next, ok := f.next.(ICMPv6); ok && next.Type.isNeighbourDiscovery() {
		hops = 255 // RFC 4861: anything less comes from beyond the link
	}
	fill(f, "HopLimit", &l.HopLimit, hops)
	fill(f, "NextHeader", &l.NextHeader, protocolOf(f.next, ProtocolNone))
	return l
}

func (l IPv6) prepend(b gopacket.SerializeBuffer, h *header) error {
	if payload := len(b.Bytes()); payload > 65535 {
		return fmt.Errorf("the payload is %d bytes long, at most 65535 fit", payload)
	}
	if err := fits("FlowLabel", l.FlowLabel, 20); err != nil {
		return err
	}
	wire := layers.IPv6{
		Version:      6,
		TrafficClass: l.TrafficClass,
		FlowLabel:    l.FlowLabel,
		NextHeader:   layers.IPProtocol(l.NextHeader),
		HopLimit:     l.HopLimit,
		SrcIP:        l.Src.AsSlice(),
		DstIP:        l.Dst.AsSlice(),
	}
	if err := wire.SerializeTo(b, computed); err != nil {
		return err
	}
	if says(h, "Length", l.Length) {
		binary.BigEndian.PutUint16(b.Bytes()[4:], l.Length)
	}
	return nil
}

// ipv6 does without gopacket, which reads hop-by-hop options into the IPv6 header,
// gets the payload's length wrong after them, and refuses an empty payload.
func (d *decoder) ipv6() (step, error) {
	if err := d.need("IPv6", ipv6Size); err != nil {
		return nil, err
	}
	b := d.rest.b
	if version := b[0] >> 4; version != 6 {
		return nil, fmt.Errorf("IPv6 header: version is %d", version)
	}
	word := binary.BigEndian.Uint32(b)
	l := IPv6{
		Src:          addrOf(b[8:24]),
		Dst:          addrOf(b[24:40]),
		HopLimit:     b[7],
		TrafficClass: uint8(word >> 20),
		FlowLabel:    word & 0xfffff,
		NextHeader:   Protocol(b[6]),
		Length:       binary.BigEndian.Uint16(b[4:]),
	}
	d.rest = d.rest.limit(ipv6Size + int(l.Length))
	d.fragment = false
	d.push(l, ipv6Size)
	d.src, d.dst = l.Src, l.Dst
	return stepOf(l.NextHeader, true), nil
}
