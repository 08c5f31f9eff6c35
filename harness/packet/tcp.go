package packet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
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

func (l TCP) String() string { return say(l) }

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

var flagNames = []string{"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "NS"}

// String returns the flags as in "SYN|ACK".
func (f Flags) String() string {
	var set []string
	for i, name := range flagNames {
		if f&(1<<i) != 0 {
			set = append(set, name)
		}
	}
	if set == nil {
		return "none"
	}
	return strings.Join(set, "|")
}

func (l TCP) addresses() (src, dst netip.Addr) { return l.Src.Addr(), l.Dst.Addr() }

func (l TCP) withAddresses(src, dst netip.Addr) Template {
	l.Src, l.Dst = withAddr(l.Src, src), withAddr(l.Dst, dst)
	return l
}

// tcpSize is the length of a TCP header without options.
const tcpSize = 20

func (l TCP) fill(f *filling) layer {
	l.Src = f.port(l.Src)
	fill(f, "Flags", &l.Flags, SYN)
	fill(f, "Seq", &l.Seq, 1)
	fill(f, "Window", &l.Window, 65535)
	return l
}

func (l TCP) prepend(b gopacket.SerializeBuffer, h *header) error {
	if err := errors.Join(checkOptions(l.Options), fits("DataOffset", l.DataOffset, 4), fits("Flags", l.Flags, 9)); err != nil {
		return err
	}
	if err := prependPayload(b, h, l.Payload); err != nil {
		return err
	}
	wire := layers.TCP{
		SrcPort: layers.TCPPort(l.Src.Port()),
		DstPort: layers.TCPPort(l.Dst.Port()),
		Seq:     l.Seq,
		Ack:     l.Ack,
		Window:  l.Window,
		Urgent:  l.Urgent,
	}
	for _, o := range l.Options {
		wire.Options = append(wire.Options, layers.TCPOption{OptionType: layers.TCPOptionKind(o.Kind), OptionData: o.Data})
	}
	if err := wire.SerializeTo(b, computed); err != nil {
		return err
	}
	segment := b.Bytes()
	offset := uint16(segment[12] >> 4)
	if says(h, "DataOffset", l.DataOffset) {
		offset = uint16(l.DataOffset)
	}
	// gopacket has a bool for each flag; they are the low 9 bits beside the offset.
	binary.BigEndian.PutUint16(segment[12:], offset<<12|uint16(l.Flags))
	putChecksum(segment, 16, h, l.Checksum, pseudoHeader(l.Src.Addr(), l.Dst.Addr(), ProtocolTCP, len(segment)))
	return nil
}

func (d *decoder) tcp() (step, error) {
	b := d.rest.b
	if d.quotes > 0 && len(b) >= tcpStartSize && (len(b) < tcpSize || len(b) < 4*int(b[12]>>4)) {
		return d.tcpStart()
	}
	if err := d.need("TCP", tcpSize); err != nil {
		return nil, err
	}
	header := 4 * int(b[12]>>4)
	if err := d.need("TCP", header); err != nil {
		return nil, err
	}
	var wire layers.TCP
	if err := wire.DecodeFromBytes(b, d); err != nil {
		return nil, fmt.Errorf("TCP header: %w", err)
	}
	l := TCP{
		Src:        netip.AddrPortFrom(d.src, uint16(wire.SrcPort)),
		Dst:        netip.AddrPortFrom(d.dst, uint16(wire.DstPort)),
		Flags:      Flags(binary.BigEndian.Uint16(b[12:]) & 0x1ff),
		Seq:        wire.Seq,
		Ack:        wire.Ack,
		Window:     wire.Window,
		Urgent:     wire.Urgent,
		Payload:    afterCookie(b[header:]),
		DataOffset: wire.DataOffset,
		Checksum:   wire.Checksum,
	}
	for _, o := range wire.Options {
		l.Options = appendOption(l.Options, uint8(o.OptionType), o.OptionData)
	}
	d.push(l, header)
	d.rest = chunk{}
	return nil, nil
}

// tcpStartSize is how much of a TCP header RFC 792 has an ICMP error quote.
const tcpStartSize = 8

// tcpStart reads the start of a quoted TCP header of which the end is missing.
func (d *decoder) tcpStart() (step, error) {
	b := d.rest.b
	d.push(TCP{
		Src: netip.AddrPortFrom(d.src, binary.BigEndian.Uint16(b)),
		Dst: netip.AddrPortFrom(d.dst, binary.BigEndian.Uint16(b[2:])),
		Seq: binary.BigEndian.Uint32(b[4:]),
	}, tcpStartSize)
	d.rest = chunk{}
	return nil, nil
}
