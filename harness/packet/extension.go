package packet

// IPv6Extension is an IPv6 extension header that has the common form (RFC 6564):
// hop-by-hop options, routing, destination options.
type IPv6Extension struct {
	Protocol   Protocol // which header this is: 0 hop-by-hop options (the default), 43 routing, 60 destination options
	NextHeader Protocol // default: that of the next layer
	Data       []byte   // what follows next header and length; default: padding
}

func (IPv6Extension) template() {}

// IPv6Fragment is the IPv6 fragment header.
type IPv6Fragment struct {
	NextHeader Protocol // default: that of the next layer
	Offset     uint16   // in bytes, a multiple of 8
	More       bool
	ID         uint32
}

func (IPv6Fragment) template() {}
