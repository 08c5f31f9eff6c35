package packet

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// ICMPv6 is an ICMPv6 message (RFC 4443), neighbour discovery (RFC 4861) included.
type ICMPv6 struct {
	Src      netip.Addr
	Dst      netip.Addr // default: the source of the packet that is embedded; in neighbour discovery, the group that hears it
	Type     ICMPv6Type // default: ICMPv6EchoRequest
	Code     uint8
	ID, Seq  uint16   // echo only; default as Echo
	MTU      uint32   // ICMPv6PacketTooBig only
	Embedded Template // the packet that an error is about, from its IPv6 header on
	Payload  []byte   // what follows the header; of an echo, what follows the cookie

	// Neighbour discovery only.
	Target                      netip.Addr
	Router, Solicited, Override bool
	// LinkAddr is the link-layer address option: of the source in a solicitation,
	// of the target in an advertisement. Default: Defaults.SrcMAC.
	LinkAddr net.HardwareAddr

	Checksum uint16 // computed unless set
}

func (ICMPv6) template() {}

func (l ICMPv6) String() string { return say(l) }

// ICMPv6Type is the type of an ICMPv6 message.
type ICMPv6Type uint8

// ICMPv6 types.
const (
	ICMPv6DestinationUnreachable ICMPv6Type = 1
	ICMPv6PacketTooBig           ICMPv6Type = 2
	ICMPv6TimeExceeded           ICMPv6Type = 3
	ICMPv6ParameterProblem       ICMPv6Type = 4
	ICMPv6EchoRequest            ICMPv6Type = 128
	ICMPv6EchoReply              ICMPv6Type = 129
	ICMPv6RouterSolicitation     ICMPv6Type = 133
	ICMPv6RouterAdvertisement    ICMPv6Type = 134
	ICMPv6NeighbourSolicitation  ICMPv6Type = 135
	ICMPv6NeighbourAdvertisement ICMPv6Type = 136
)

// Codes of ICMPv6DestinationUnreachable.
const (
	ICMPv6NoRoute            = 0
	ICMPv6AdminProhibited    = 1
	ICMPv6AddressUnreachable = 3
	ICMPv6PortUnreachable    = 4
)

var icmpv6Names = map[ICMPv6Type]string{
	ICMPv6DestinationUnreachable: "destination unreachable",
	ICMPv6PacketTooBig:           "packet too big",
	ICMPv6TimeExceeded:           "time exceeded",
	ICMPv6ParameterProblem:       "parameter problem",
	ICMPv6EchoRequest:            "echo request",
	ICMPv6EchoReply:              "echo reply",
	ICMPv6RouterSolicitation:     "router solicitation",
	ICMPv6RouterAdvertisement:    "router advertisement",
	ICMPv6NeighbourSolicitation:  "neighbour solicitation",
	ICMPv6NeighbourAdvertisement: "neighbour advertisement",
}

func (t ICMPv6Type) String() string {
	if name, ok := icmpv6Names[t]; ok {
		return name
	}
	return fmt.Sprint(uint8(t))
}

func (t ICMPv6Type) isEcho() bool { return t == ICMPv6EchoRequest || t == ICMPv6EchoReply }

// isError reports whether messages of the type quote a packet.
func (t ICMPv6Type) isError() bool {
	return t >= ICMPv6DestinationUnreachable && t <= ICMPv6ParameterProblem
}

func (l ICMPv6) addresses() (src, dst netip.Addr) { return l.Src, l.Dst }

func (l ICMPv6) withAddresses(src, dst netip.Addr) Template {
	l.Src, l.Dst = src, dst
	return l
}

// icmpv6Size is the length of what gopacket takes for the header; the 4 bytes
// that follow in most types are to it a layer of their own.
const icmpv6Size = 4

func (l ICMPv6) fill(f *filling) layer {
	fill(f, "Type", &l.Type, ICMPv6EchoRequest)
	if l.Type.isEcho() {
		fill(f, "ID", &l.ID, SourcePort(f.Cookie))
		fill(f, "Seq", &l.Seq, 1)
	}
	if l.Type.isNeighbour() {
		l.LinkAddr = firstMAC(l.LinkAddr, f.SrcMAC)
	}
	return l
}

func (l ICMPv6) prepend(b gopacket.SerializeBuffer, h *header) error {
	if err := prependBody(b, h, l.Type.isError(), l.Embedded, l.Payload); err != nil {
		return err
	}
	if err := l.prependFields(b); err != nil {
		return err
	}
	wire := layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(uint8(l.Type), l.Code)}
	if err := wire.SerializeTo(b, computed); err != nil {
		return err
	}
	message := b.Bytes()
	putChecksum(message, 2, h, l.Checksum, pseudoHeader(l.Src, l.Dst, ProtocolICMPv6, len(message)))
	return nil
}

// prependFields writes what stands between the checksum and the payload.
func (l ICMPv6) prependFields(b gopacket.SerializeBuffer) error {
	switch {
	case l.Type.isEcho():
		wire := layers.ICMPv6Echo{Identifier: l.ID, SeqNumber: l.Seq}
		return wire.SerializeTo(b, computed)
	case l.Type.isError():
		return prependBytes(b, binary.BigEndian.AppendUint32(nil, l.MTU))
	case l.Type.isNeighbour():
		return l.prependNeighbour(b)
	}
	return nil
}

func (d *decoder) icmpv6() (step, error) {
	if err := d.need("ICMPv6", icmpv6Size); err != nil {
		return nil, err
	}
	var wire layers.ICMPv6
	if err := wire.DecodeFromBytes(d.rest.b, d); err != nil {
		return nil, fmt.Errorf("ICMPv6 header: %w", err)
	}
	l := ICMPv6{
		Src: d.src, Dst: d.dst,
		Type:     ICMPv6Type(wire.TypeCode.Type()),
		Code:     wire.TypeCode.Code(),
		Checksum: wire.Checksum,
	}
	header := icmpv6Size
	if l.Type.isEcho() || l.Type.isError() {
		header += 4
		if err := d.need("ICMPv6", header); err != nil {
			return nil, err
		}
	}
	fields := wire.Payload
	switch {
	case l.Type.isEcho():
		l.ID, l.Seq = binary.BigEndian.Uint16(fields), binary.BigEndian.Uint16(fields[2:])
	case l.Type == ICMPv6PacketTooBig:
		l.MTU = binary.BigEndian.Uint32(fields)
	case l.Type.isNeighbour():
		if err := l.readNeighbour(fields, d); err != nil {
			return nil, err
		}
		header = len(d.rest.b)
	}
	if l.Type.isError() {
		d.push(l, header)
		d.quotes++
		return (*decoder).quoted, nil
	}
	l.Payload = afterCookie(d.rest.b[header:])
	d.push(l, header)
	d.rest = chunk{}
	return nil, nil
}
