package packet

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/google/gopacket"
)

// Build makes the packet that t says, with d in the places that it leaves open.
// Lengths and checksums are computed in full, those of inner packets too.
//
// The cookie stands at the start of the payload of the innermost TCP, UDP or
// echo; a packet that ends in none of these (ARP, neighbour discovery, Raw)
// carries none.
func Build(t Template, d Defaults) (*Packet, error) {
	frame, err := build(t, d)
	if err != nil {
		return nil, fmt.Errorf("packet template: %w", err)
	}
	p, _ := Decode(frame) // a template may lie on purpose
	return p, nil
}

func build(t Template, d Defaults) (frame []byte, err error) {
	headers, err := unfold(t)
	if err != nil {
		return nil, err
	}
	if len(headers) == 0 {
		return nil, errors.New("there is no layer")
	}
	if err := address(headers, d); err != nil {
		return nil, err
	}
	innermost := &headers[len(headers)-1]
	if holdsCookie(innermost.layer) {
		innermost.cookie = d.Cookie
	}
	// The buffer grows to the front: each header stands before what it carries.
	b := gopacket.NewSerializeBufferExpectedSize(256, 0)
	var next layer
	for i := len(headers) - 1; i >= 0; i-- {
		next = headers[i].layer.(layer).fill(&filling{&d, &headers[i], next})
		if err := next.prepend(b, &headers[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", nameOf(next), err)
		}
	}
	return b.Bytes(), nil
}

// Destination returns the destination of the outermost IP header of t, for which
// the sender has to know the next hop; ok is false if t names none, or a group,
// whose link-layer address Build knows.
func Destination(t Template) (addr netip.Addr, ok bool) {
	headers, err := unfold(t)
	if err != nil {
		return netip.Addr{}, false
	}
	legs, err := legsOf(headers)
	if err != nil || len(legs) == 0 {
		return netip.Addr{}, false
	}
	addr = legs[0].destination()
	return addr, addr.IsValid() && groupMAC(addr) == nil
}

// layer is a template that is one header on the wire.
type layer interface {
	Template
	// fill returns the layer with its defaults in the fields that are open.
	fill(*filling) layer
	// prepend writes the layer in front of what b holds, which it carries.
	prepend(b gopacket.SerializeBuffer, h *header) error
}

// filling is what a layer finds its defaults in.
type filling struct {
	*Defaults
	header *header
	next   layer // nil for the innermost
}

// fill sets a field that is open to its default.
func fill[T comparable](f *filling, field string, value *T, def T) {
	if !says(f.header, field, *value) {
		*value = def
	}
}

// port returns addr with the default source port, if it has none.
func (f *filling) port(addr netip.AddrPort) netip.AddrPort {
	if addr.Port() != 0 {
		return addr
	}
	return netip.AddrPortFrom(addr.Addr(), SourcePort(f.Cookie))
}

// says reports whether the template says the value of a field, so that neither
// default nor computation takes its place.
func says[T comparable](h *header, field string, value T) bool {
	var open T
	return value != open || h.zeroed(field)
}

// fits returns an error if value has more bits than its field.
func fits[T ~uint8 | ~uint16 | ~uint32](field string, value T, bits int) error {
	if value>>bits == 0 {
		return nil
	}
	return fmt.Errorf("its %s is %#x, and has %d bits", field, uint32(value), bits)
}

// computed lets gopacket fix the lengths. Checksums are ours: gopacket's know
// nothing of fields that lie, and send a UDP checksum of zero as zero.
var computed = gopacket.SerializeOptions{FixLengths: true}

// prependBytes writes content in front of what b holds.
func prependBytes(b gopacket.SerializeBuffer, content []byte) error {
	room, err := b.PrependBytes(len(content))
	if err != nil {
		return err
	}
	copy(room, content)
	return nil
}

// prependPayload writes the payload of a transport, after its cookie.
func prependPayload(b gopacket.SerializeBuffer, h *header, payload []byte) error {
	if err := prependBytes(b, payload); err != nil {
		return err
	}
	if h.cookie == 0 {
		return nil
	}
	return prependBytes(b, cookieBytes(h.cookie))
}

func (r Raw) fill(*filling) layer { return r }

func (r Raw) prepend(b gopacket.SerializeBuffer, _ *header) error { return prependBytes(b, r) }
