package packet

import (
	"errors"
	"net/netip"
)

// Build makes the packet that t says, with d in the places that it leaves open.
// Lengths and checksums are computed in full, those of inner packets too.
//
// The cookie stands at the start of the payload of the innermost TCP, UDP or
// echo; a packet that ends in none of these (ARP, neighbour discovery, Raw)
// carries none.
func Build(t Template, d Defaults) (*Packet, error) { return nil, errors.New("not built yet") }

// Destination returns the destination of the outermost IP header of t, for which
// the sender has to know the next hop; ok is false if t names none.
func Destination(t Template) (addr netip.Addr, ok bool) { return netip.Addr{}, false }
