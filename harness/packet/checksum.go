package packet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// ErrTruncated is the error for a packet that holds less than its headers say.
var ErrTruncated = errors.New("packet is cut short")

// A ChecksumError is a checksum that is not that of the bytes it covers.
type ChecksumError struct {
	Layer     string // "IPv4", "TCP"; of the second TCP layer, "TCP(2)"
	Quoted    bool   // the layer is of a packet that an ICMP error quotes
	Got, Want uint16 // in the packet, and computed
}

func (e *ChecksumError) Error() string {
	layer := e.Layer
	if e.Quoted {
		layer = "quoted " + layer
	}
	return fmt.Sprintf("%s checksum is %#04x, computed %#04x", layer, e.Got, e.Want)
}

// StaleQuote tells whether a wrong checksum is that of TCP or UDP in a quoted packet,
// as who translates addresses and ports in a quote, and no more, leaves behind.
func StaleQuote(wrong *ChecksumError) bool {
	protocol, _, _ := strings.Cut(wrong.Layer, "(")
	return wrong.Quoted && (protocol == "TCP" || protocol == "UDP")
}

// VerifyChecksums computes every checksum of p in software: IPv4, TCP, UDP, ICMP and
// ICMPv6, those inside tunnels and of quoted packets too. All that are wrong are
// joined into the error, each a *ChecksumError, but for those that one of allowed
// says yes to. A checksum over bytes that were not captured gives ErrTruncated, a
// header that could not be read the error of Decode.
//
// Not verified, as nothing in the packet can tell: a UDP checksum of zero over
// IPv4, the payload of a fragment, and that of a quoted packet that was cut.
func VerifyChecksums(p *Packet, allowed ...func(*ChecksumError) bool) error {
	errs := []error{p.malformed}
	for i := range p.sections {
		err := p.verify(i)
		if wrong, ok := errors.AsType[*ChecksumError](err); ok && slices.ContainsFunc(allowed, func(may func(*ChecksumError) bool) bool { return may(wrong) }) {
			continue
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("packet: %w", err)
	}
	return nil
}

func (p *Packet) verify(i int) error {
	s := &p.sections[i]
	at, got, sum := s.checksum()
	if at < 0 {
		return nil
	}
	covered := s.data
	if _, ok := s.layer.(IPv4); ok {
		covered = s.data[:s.header]
	} else if s.fragment || s.quotes > 0 && len(s.data) < s.size {
		return nil
	} else if len(s.data) < s.size {
		return fmt.Errorf("%s checksum: %w: %d of %d bytes", p.label(i), ErrTruncated, len(s.data), s.size)
	}
	want := complement(sum + sumOf(covered[:at]) + sumOf(covered[at+2:]))
	if _, ok := s.layer.(UDP); ok && want == 0 {
		want = 0xffff
	}
	// Zero has two forms; incremental updates leave the other one at times, and it
	// is as good to receivers.
	if got == want || got == 0xffff && want == 0 {
		return nil
	}
	return &ChecksumError{Layer: p.label(i), Quoted: s.quotes > 0, Got: got, Want: want}
}

// checksum returns where in the section its checksum stands, what it is, and the
// sum of what it covers beside the section; at is negative if there is none.
func (s *section) checksum() (at int, got uint16, pseudo uint64) {
	switch l := s.layer.(type) {
	case IPv4:
		return 10, l.Checksum, 0
	case TCP:
		if s.header < tcpSize {
			break // the start of a quoted one
		}
		return 16, l.Checksum, pseudoHeader(l.Src.Addr(), l.Dst.Addr(), ProtocolTCP, len(s.data))
	case UDP:
		if l.Checksum == 0 && l.Dst.Addr().Is4() {
			break
		}
		return 6, l.Checksum, pseudoHeader(l.Src.Addr(), l.Dst.Addr(), ProtocolUDP, len(s.data))
	case ICMP:
		return 2, l.Checksum, 0
	case ICMPv6:
		return 2, l.Checksum, pseudoHeader(l.Src, l.Dst, ProtocolICMPv6, len(s.data))
	}
	return -1, 0, 0
}

// putChecksum writes the checksum of b at offset at: the one that the template
// says or, with pseudo the sum of the pseudo header, the one of what b holds.
func putChecksum(b []byte, at int, h *header, said uint16, pseudo uint64) {
	if !says(h, "Checksum", said) {
		b[at], b[at+1] = 0, 0
		said = checksum(b, pseudo)
	}
	binary.BigEndian.PutUint16(b[at:], said)
}

// checksum returns the internet checksum (RFC 1071) of b, with pseudo the sum of
// what it covers beside b.
func checksum(b []byte, pseudo uint64) uint16 { return complement(pseudo + sumOf(b)) }

// sumOf returns the sum of the 16-bit words of b, big endian, carries not yet
// added. It adds two words at once, whose carries come to the same in the end.
func sumOf(b []byte) uint64 {
	var sum uint64
	for ; len(b) >= 4; b = b[4:] {
		sum += uint64(binary.BigEndian.Uint32(b))
	}
	if len(b) >= 2 {
		sum += uint64(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		sum += uint64(b[0]) << 8
	}
	return sum
}

// complement adds the carries of a sum, and returns its complement.
func complement(sum uint64) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// pseudoHeader returns the sum of the pseudo header that TCP, UDP and ICMPv6 checksums
// cover (RFC 9293, 3.1; RFC 8200, 8.1). After a routing header, receivers take
// the last destination for dst; that is not done here.
func pseudoHeader(src, dst netip.Addr, p Protocol, length int) uint64 {
	sum := uint64(p) + uint64(length)
	for _, addr := range []netip.Addr{src, dst} {
		b := addr.As16()
		if addr.Is4() {
			sum += sumOf(b[12:])
			continue
		}
		sum += sumOf(b[:])
	}
	return sum
}
