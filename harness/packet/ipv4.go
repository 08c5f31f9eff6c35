package packet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// IPv4 is an IPv4 header (RFC 791).
type IPv4 struct {
	Src netip.Addr // default: that of the layer it carries, else Defaults.SrcIPv4
	Dst netip.Addr // default: that of the layer it carries
	TTL uint8      // default: 64
	TOS uint8
	// ID is 0 by default and DF set, as Linux sends packets outside of a
	// connection: the ID of a packet that cannot be fragmented means nothing
	// (RFC 6864). A fragment has no DF by default.
	ID         uint16
	DF, MF     bool
	FragOffset uint16   // in bytes, a multiple of 8
	Protocol   Protocol // default: that of the next layer, or 255 (reserved)
	Options    []Option

	// Computed unless set, so that a header may lie.
	IHL      uint8  // header length in 4-byte words
	Length   uint16 // header and payload in bytes
	Checksum uint16
}

func (IPv4) template() {}

func (l IPv4) String() string { return say(l) }

func (l IPv4) addresses() (src, dst netip.Addr) { return l.Src, l.Dst }

func (l IPv4) withAddresses(src, dst netip.Addr) Template {
	l.Src, l.Dst = src, dst
	return l
}

// ipv4Size is the length of an IPv4 header without options.
const ipv4Size = 20

func (l IPv4) fill(f *filling) layer {
	fill(f, "TTL", &l.TTL, 64)
	fill(f, "DF", &l.DF, !l.MF && l.FragOffset == 0)
	fill(f, "Protocol", &l.Protocol, protocolOf(f.next, ProtocolReserved))
	return l
}

func (l IPv4) prepend(b gopacket.SerializeBuffer, h *header) error {
	if err := errors.Join(checkOptions(l.Options), checkOffset(l.FragOffset), fits("IHL", l.IHL, 4)); err != nil {
		return err
	}
	payload := len(b.Bytes())
	wire := layers.IPv4{
		Version:    4,
		TOS:        l.TOS,
		Id:         l.ID,
		FragOffset: l.FragOffset / 8,
		TTL:        l.TTL,
		Protocol:   layers.IPProtocol(l.Protocol),
		SrcIP:      l.Src.AsSlice(),
		DstIP:      l.Dst.AsSlice(),
	}
	if l.DF {
		wire.Flags |= layers.IPv4DontFragment
	}
	if l.MF {
		wire.Flags |= layers.IPv4MoreFragments
	}
	for _, o := range l.Options {
		wire.Options = append(wire.Options, layers.IPv4Option{
			OptionType: o.Kind, OptionLength: uint8(2 + len(o.Data)), OptionData: o.Data,
		})
	}
	if err := wire.SerializeTo(b, computed); err != nil {
		return err
	}
	return l.patch(b.Bytes(), len(b.Bytes())-payload, h)
}

// patch writes what the template says in the place of what was computed, and the checksum.
func (l IPv4) patch(packet []byte, header int, h *header) error {
	if says(h, "IHL", l.IHL) {
		packet[0] = packet[0]&0xf0 | l.IHL
	}
	if says(h, "Length", l.Length) {
		binary.BigEndian.PutUint16(packet[2:], l.Length)
	} else if len(packet) > 65535 {
		return fmt.Errorf("the packet is %d bytes long, at most 65535 fit", len(packet))
	}
	if !says(h, "Checksum", l.Checksum) {
		// Receivers take the header for as long as it says, so the checksum of one
		// that lies about its length covers that much.
		if said := 4 * int(packet[0]&0x0f); said >= ipv4Size && said <= len(packet) {
			header = said
		}
		l.Checksum = checksum(packet[:header], 0)
	}
	binary.BigEndian.PutUint16(packet[10:], l.Checksum)
	return nil
}

func (d *decoder) ipv4() (step, error) {
	if err := d.need("IPv4", ipv4Size); err != nil {
		return nil, err
	}
	b := d.rest.b
	if err := d.need("IPv4", 4*int(b[0]&0x0f)); err != nil {
		return nil, err
	}
	var wire layers.IPv4
	if err := wire.DecodeFromBytes(b, d); err != nil {
		return nil, fmt.Errorf("IPv4 header: %w", err)
	}
	if wire.Version != 4 {
		return nil, fmt.Errorf("IPv4 header: version is %d", wire.Version)
	}
	l := IPv4{
		Src: addrOf(wire.SrcIP), Dst: addrOf(wire.DstIP),
		TTL: wire.TTL, TOS: wire.TOS, ID: wire.Id,
		DF:         wire.Flags&layers.IPv4DontFragment != 0,
		MF:         wire.Flags&layers.IPv4MoreFragments != 0,
		FragOffset: wire.FragOffset * 8,
		Protocol:   Protocol(wire.Protocol),
		IHL:        wire.IHL,
		Length:     binary.BigEndian.Uint16(b[2:]), // gopacket makes up a length for 0
		Checksum:   wire.Checksum,
	}
	for _, o := range wire.Options {
		l.Options = appendOption(l.Options, o.OptionType, o.OptionData)
	}
	d.rest = d.rest.limit(int(wire.Length))
	d.fragment = false
	d.push(l, 4*int(l.IHL))
	d.src, d.dst = l.Src, l.Dst
	d.fragment = l.MF || l.FragOffset > 0
	if l.FragOffset > 0 {
		return nil, nil
	}
	return stepOf(l.Protocol, false), nil
}

func checkOffset(offset uint16) error {
	if offset%8 != 0 {
		return fmt.Errorf("a fragment starts at a multiple of 8 bytes, not at %d", offset)
	}
	return nil
}
