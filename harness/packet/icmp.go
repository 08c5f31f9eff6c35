package packet

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// Echo is an ICMP echo request, or a reply, of the family of its addresses.
type Echo struct {
	Src, Dst netip.Addr
	Reply    bool   // an echo reply; otherwise a request, also when expected
	ID       uint16 // default: see SourcePort
	Seq      uint16 // default: 1
	Payload  []byte // what follows the cookie
}

func (Echo) template() {}

func (l Echo) String() string { return say(l) }

func (l Echo) addresses() (src, dst netip.Addr) { return l.Src, l.Dst }

func (l Echo) withAddresses(src, dst netip.Addr) Template {
	l.Src, l.Dst = src, dst
	return l
}

func (l Echo) icmp() ICMP {
	t := ICMPEchoRequest
	if l.Reply {
		t = ICMPEchoReply
	}
	return ICMP{Src: l.Src, Dst: l.Dst, Type: t, ID: l.ID, Seq: l.Seq, Payload: l.Payload}
}

func (l Echo) icmpv6() ICMPv6 {
	t := ICMPv6EchoRequest
	if l.Reply {
		t = ICMPv6EchoReply
	}
	return ICMPv6{Src: l.Src, Dst: l.Dst, Type: t, ID: l.ID, Seq: l.Seq, Payload: l.Payload}
}

// ICMP is an ICMP message of IPv4 (RFC 792).
type ICMP struct {
	Src      netip.Addr
	Dst      netip.Addr // default: the source of the packet that is embedded
	Type     ICMPType   // default: ICMPEchoRequest
	Code     uint8
	ID, Seq  uint16   // echo only; default as Echo
	MTU      uint16   // ICMPFragmentationNeeded only
	Embedded Template // the packet that an error is about, from its IP header on
	Payload  []byte   // what follows the header; of an echo, what follows the cookie

	Checksum uint16 // computed unless set
}

func (ICMP) template() {}

func (l ICMP) String() string { return say(l) }

// ICMPType is the type of an ICMP message.
type ICMPType uint8

// ICMP types. To say an echo reply, whose type is 0, use Echo.
const (
	ICMPEchoReply              ICMPType = 0
	ICMPDestinationUnreachable ICMPType = 3
	ICMPRedirect               ICMPType = 5
	ICMPEchoRequest            ICMPType = 8
	ICMPTimeExceeded           ICMPType = 11
	ICMPParameterProblem       ICMPType = 12
)

// Codes of ICMPDestinationUnreachable.
const (
	ICMPNetUnreachable      = 0
	ICMPHostUnreachable     = 1
	ICMPProtocolUnreachable = 2
	ICMPPortUnreachable     = 3
	ICMPFragmentationNeeded = 4
	ICMPAdminProhibited     = 13
)

var icmpNames = map[ICMPType]string{
	ICMPEchoReply:              "echo reply",
	ICMPDestinationUnreachable: "destination unreachable",
	ICMPRedirect:               "redirect",
	ICMPEchoRequest:            "echo request",
	ICMPTimeExceeded:           "time exceeded",
	ICMPParameterProblem:       "parameter problem",
}

func (t ICMPType) String() string {
	if name, ok := icmpNames[t]; ok {
		return name
	}
	return fmt.Sprint(uint8(t))
}

func (t ICMPType) isEcho() bool { return t == ICMPEchoRequest || t == ICMPEchoReply }

// isError reports whether messages of the type quote a packet.
func (t ICMPType) isError() bool {
	switch t {
	case ICMPDestinationUnreachable, ICMPRedirect, ICMPTimeExceeded, ICMPParameterProblem:
		return true
	}
	return false
}

func (l ICMP) hasMTU() bool {
	return l.Type == ICMPDestinationUnreachable && l.Code == ICMPFragmentationNeeded
}

func (l ICMP) addresses() (src, dst netip.Addr) { return l.Src, l.Dst }

func (l ICMP) withAddresses(src, dst netip.Addr) Template {
	l.Src, l.Dst = src, dst
	return l
}

const icmpSize = 8

func (l ICMP) fill(f *filling) layer {
	fill(f, "Type", &l.Type, ICMPEchoRequest)
	if l.Type.isEcho() {
		fill(f, "ID", &l.ID, SourcePort(f.Cookie))
		fill(f, "Seq", &l.Seq, 1)
	}
	return l
}

func (l ICMP) prepend(b gopacket.SerializeBuffer, h *header) error {
	if err := prependBody(b, h, l.Type.isError(), l.Embedded, l.Payload); err != nil {
		return err
	}
	wire := layers.ICMPv4{
		TypeCode: layers.CreateICMPv4TypeCode(uint8(l.Type), l.Code),
		Id:       l.ID,
		Seq:      l.Seq,
	}
	if l.hasMTU() {
		wire.Seq = l.MTU // where an echo has its sequence number (RFC 1191)
	}
	if err := wire.SerializeTo(b, computed); err != nil {
		return err
	}
	putChecksum(b.Bytes(), 2, h, l.Checksum, 0)
	return nil
}

// prependBody writes what follows the header of an ICMP message of either family.
func prependBody(b gopacket.SerializeBuffer, h *header, isError bool, quote Template, payload []byte) error {
	if quote == nil {
		return prependPayload(b, h, payload)
	}
	if !isError {
		return errors.New("a packet is embedded, and the type is none of an error")
	}
	if payload != nil {
		return errors.New("an error carries Embedded or Payload, not both")
	}
	return nil // the quote is in b already
}

func (d *decoder) icmp() (step, error) {
	if err := d.need("ICMP", icmpSize); err != nil {
		return nil, err
	}
	var wire layers.ICMPv4
	if err := wire.DecodeFromBytes(d.rest.b, d); err != nil {
		return nil, fmt.Errorf("ICMP header: %w", err)
	}
	l := ICMP{
		Src: d.src, Dst: d.dst,
		Type:     ICMPType(wire.TypeCode.Type()),
		Code:     wire.TypeCode.Code(),
		Checksum: wire.Checksum,
	}
	switch {
	case l.Type.isEcho():
		l.ID, l.Seq = wire.Id, wire.Seq
	case l.hasMTU():
		l.MTU = wire.Seq
	}
	if l.Type.isError() {
		d.push(l, icmpSize)
		d.quotes++
		return (*decoder).quoted, nil
	}
	l.Payload = afterCookie(wire.Payload)
	d.push(l, icmpSize)
	d.rest = chunk{}
	return nil, nil
}
