package packet

import "errors"

// ErrTruncated is the error for a packet that holds less than its headers say.
var ErrTruncated = errors.New("packet is cut short")

// A ChecksumError is a checksum that is not that of the bytes it covers.
type ChecksumError struct {
	Layer     string // "IPv4", "TCP"; of the second TCP layer, "TCP(2)"
	Got, Want uint16 // in the packet, and computed
}

func (e *ChecksumError) Error() string { return "" }

// VerifyChecksums computes every checksum of p in software: IPv4, TCP, UDP, ICMP and
// ICMPv6, those inside tunnels and of quoted packets too. All that are wrong are
// joined into the error, each a *ChecksumError. A checksum over bytes that were
// not captured gives ErrTruncated.
//
// Not verified, as nothing in the packet can tell: a UDP checksum of zero over
// IPv4, the payload of a fragment, and that of a quoted packet that was cut.
func VerifyChecksums(p *Packet) error { return errors.New("not verified yet") }
