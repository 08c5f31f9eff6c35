package packet

import (
	"fmt"
	"net/netip"
)

// Decode reads a frame. The packet is never nil: with an error, which says the
// header that does not hold up, it has the layers before that one and the rest
// as Raw; ErrTruncated is among the causes. A frame that was cut short is no
// error as long as its headers are whole. The packet shares the memory of frame.
func Decode(frame []byte) (*Packet, error) {
	d := decoder{rest: chunk{frame, len(frame)}, sections: make([]section, 0, 4)}
	err := d.run()
	if len(d.rest.b) > 0 {
		d.push(Raw(d.rest.b), len(d.rest.b))
	}
	p := &Packet{Data: frame, Layers: fold(d.sections), sections: d.sections, malformed: err}
	if err != nil {
		return p, fmt.Errorf("packet: %w", err)
	}
	return p, nil
}

// maxSections bounds the work on a frame of headers within headers. No packet
// that a test sends comes near it.
const maxSections = 64

// A section is one layer where it stands in its frame.
type section struct {
	layer  Template
	data   []byte // the header and what it carries, without padding
	header int    // length of the header within data
	// size is the length of data by what the headers say. It is more than there
	// is where the frame was cut short or a header lies.
	size     int
	quotes   int  // how many ICMP errors it is quoted in
	fragment bool // data is a part of a datagram only
}

func (s *section) payload() []byte { return s.data[s.header:] }

// A chunk is the part of a frame that is still to be understood.
type chunk struct {
	b    []byte
	size int // its length by what the headers say; more than len(b) if it is cut short
}

// limit cuts the chunk to size bytes.
func (c chunk) limit(size int) chunk {
	return chunk{c.b[:min(size, len(c.b))], size}
}

// after returns what follows the first n bytes, which there have to be.
func (c chunk) after(n int) chunk { return chunk{c.b[n:], c.size - n} }

type decoder struct {
	sections []section
	rest     chunk
	quotes   int
	fragment bool       // rest is a part of a datagram only
	src, dst netip.Addr // of the last IP header
}

// A step reads the header at the start of the decoder's rest, and returns the
// step for what follows; nil if nothing does that this package understands.
type step func(*decoder) (step, error)

func (d *decoder) run() (err error) {
	// gopacket indexes by lengths that it reads from the packet, and its decoders
	// have panicked on some. Its own packets recover from that as we do here.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("header that gopacket cannot read: %v", r)
		}
	}()
	for next := (*decoder).ethernet; next != nil && err == nil; {
		if len(d.sections) == maxSections {
			return fmt.Errorf("more than %d headers", maxSections)
		}
		next, err = d.take(next)
	}
	return err
}

// take does one step. A quote is cut wherever its maker liked, so a header in it
// that is not whole is no error.
func (d *decoder) take(this step) (step, error) {
	next, err := this(d)
	if d.quotes > 0 {
		err = nil
	}
	return next, err
}

// push takes layer off the rest, header bytes long.
func (d *decoder) push(layer Template, header int) {
	d.sections = append(d.sections, section{layer, d.rest.b, header, d.rest.size, d.quotes, d.fragment})
	d.rest = d.rest.after(header)
}

// need returns an error unless the rest holds a header of n bytes.
func (d *decoder) need(name string, n int) error {
	if len(d.rest.b) < n {
		return fmt.Errorf("%s header: %w: %d bytes of at least %d", name, ErrTruncated, len(d.rest.b), n)
	}
	return nil
}

// SetTruncated is what gopacket's decoders call; chunks know better.
func (d *decoder) SetTruncated() {}

// fold returns the layers of sections, with what an ICMP error quotes in its Embedded.
func fold(sections []section) Layers {
	var layers Layers
	for i, s := range sections {
		if i+1 < len(sections) && sections[i+1].quotes > s.quotes {
			return append(layers, withEmbedded(s.layer, fold(sections[i+1:])))
		}
		layers = append(layers, s.layer)
	}
	return layers
}

func withEmbedded(t Template, quote Template) Template {
	switch t := t.(type) {
	case ICMP:
		t.Embedded = quote
		return t
	case ICMPv6:
		t.Embedded = quote
		return t
	}
	return t
}

// addrOf returns an address of 4 or 16 bytes.
func addrOf(b []byte) netip.Addr {
	addr, _ := netip.AddrFromSlice(b)
	return addr
}
