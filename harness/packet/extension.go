package packet

import (
	"encoding/binary"
	"fmt"

	"github.com/google/gopacket"
)

// IPv6Extension is an IPv6 extension header of the common form (RFC 6564).
type IPv6Extension struct {
	Protocol   Protocol // which header this is: ProtocolHopByHop (the default), ProtocolRouting or ProtocolDestination
	NextHeader Protocol // default: that of the next layer, or 59 (none)
	Data       []byte   // what follows next header and length: 6 bytes, 14, 22, …; default: 6 zeros, which is padding
}

func (IPv6Extension) template() {}

func (l IPv6Extension) String() string { return say(l) }

func (l IPv6Extension) fill(f *filling) layer {
	fill(f, "NextHeader", &l.NextHeader, protocolOf(f.next, ProtocolNone))
	if l.Data == nil {
		l.Data = make([]byte, 6)
	}
	return l
}

// prepend does without gopacket, which has no form for a routing header and
// orders options by its own idea of their alignment.
func (l IPv6Extension) prepend(b gopacket.SerializeBuffer, _ *header) error {
	size := 2 + len(l.Data)
	if size%8 != 0 || size > 8*256 {
		return fmt.Errorf("its Data is %d bytes long; 6, 14, 22, up to 2046 fit", len(l.Data))
	}
	return prependBytes(b, append([]byte{byte(l.NextHeader), byte(size/8 - 1)}, l.Data...))
}

func (d *decoder) ipv6Extension(p Protocol) (step, error) {
	if err := d.need("IPv6 extension", 8); err != nil {
		return nil, err
	}
	size := 8 * (1 + int(d.rest.b[1]))
	if err := d.need("IPv6 extension", size); err != nil {
		return nil, err
	}
	l := IPv6Extension{Protocol: p, NextHeader: Protocol(d.rest.b[0]), Data: d.rest.b[2:size:size]}
	d.push(l, size)
	return stepOf(l.NextHeader, true), nil
}

// IPv6Fragment is the IPv6 fragment header.
type IPv6Fragment struct {
	NextHeader Protocol // default: that of the next layer, or 59 (none)
	Offset     uint16   // in bytes, a multiple of 8
	More       bool
	ID         uint32
}

func (IPv6Fragment) template() {}

func (l IPv6Fragment) String() string { return say(l) }

const fragmentSize = 8

func (l IPv6Fragment) fill(f *filling) layer {
	fill(f, "NextHeader", &l.NextHeader, protocolOf(f.next, ProtocolNone))
	return l
}

// prepend does without gopacket, which cannot write this header.
func (l IPv6Fragment) prepend(b gopacket.SerializeBuffer, _ *header) error {
	if err := checkOffset(l.Offset); err != nil {
		return err
	}
	offset := l.Offset // in units of 8 bytes, 3 bits up
	if l.More {
		offset |= 1
	}
	content := binary.BigEndian.AppendUint16([]byte{byte(l.NextHeader), 0}, offset)
	return prependBytes(b, binary.BigEndian.AppendUint32(content, l.ID))
}

func (d *decoder) ipv6Fragment() (step, error) {
	if err := d.need("IPv6 fragment", fragmentSize); err != nil {
		return nil, err
	}
	offset := binary.BigEndian.Uint16(d.rest.b[2:])
	l := IPv6Fragment{
		NextHeader: Protocol(d.rest.b[0]),
		Offset:     offset &^ 7,
		More:       offset&1 != 0,
		ID:         binary.BigEndian.Uint32(d.rest.b[4:]),
	}
	d.push(l, fragmentSize)
	d.fragment = l.Offset > 0 || l.More
	if l.Offset > 0 {
		return nil, nil
	}
	return stepOf(l.NextHeader, true), nil
}
