package packet

import "net/netip"

// UDP is a UDP datagram (RFC 768).
type UDP struct {
	// An AddrPort with only its address or only its port set leaves the other open.
	Src     netip.AddrPort // default port: see SourcePort
	Dst     netip.AddrPort // default port: VXLANPort before VXLAN
	Payload []byte         // what follows the cookie

	// Computed unless set, so that a header may lie.
	Length   uint16 // header and payload in bytes
	Checksum uint16
}

func (UDP) template() {}

// SourcePort returns the source port (for an echo, the ID) of a packet that
// names none. It depends on nothing but the cookie, and stays clear of
// NodePorts (30000 to 32767) and of the ports that address translation takes
// (49152 to 65535).
func SourcePort(cookie uint64) uint16 { return uint16(20000 + cookie%10000) }
