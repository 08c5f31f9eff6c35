package packet

import (
	"errors"
	"fmt"
	"net/netip"
)

// addressed are the layers that say addresses.
type addressed interface {
	addresses() (src, dst netip.Addr)
	withAddresses(src, dst netip.Addr) Template
}

// A leg is an IP header and the transport that it carries, which share their
// addresses: each may be said in either.
type leg struct {
	ip, transport *header // transport is nil if there is none
	src, dst      netip.Addr
}

// address gives every IP header and transport of a packet its family and addresses.
func address(headers []header, d Defaults) error {
	legs, err := legsOf(headers)
	if err != nil {
		return err
	}
	for i := range legs {
		if err := legs[i].settle(d); err != nil {
			return err
		}
	}
	return nil
}

// legsOf returns the legs of a packet, outermost first, with the addresses that
// the template says.
func legsOf(headers []header) ([]leg, error) {
	var legs []leg
	for i := range headers {
		h := &headers[i]
		if isIP(h.layer) {
			legs = append(legs, leg{ip: h})
		}
		if isTransport(h.layer) {
			legs[len(legs)-1].transport = h
		}
		if said, ok := h.layer.(addressed); ok {
			if err := legs[len(legs)-1].merge(said); err != nil {
				return nil, err
			}
		}
	}
	turnQuotes(legs)
	return legs, nil
}

// merge takes over the addresses that one header of the leg says.
func (l *leg) merge(said addressed) error {
	src, dst := said.addresses()
	for _, side := range []struct {
		name string
		have *netip.Addr
		said netip.Addr
	}{{"Src", &l.src, plain(src)}, {"Dst", &l.dst, plain(dst)}} {
		switch {
		case !side.said.IsValid():
		case !side.have.IsValid():
			*side.have = side.said
		case *side.have != side.said:
			return fmt.Errorf("%s.%s is %s, but the IP header before it says %s; give the address once",
				nameOf(said.(Template)), side.name, side.said, *side.have)
		}
	}
	return nil
}

// turnQuotes completes the addresses of ICMP errors and of the packets they
// quote from each other: an error goes to the source of the packet it is about.
func turnQuotes(legs []leg) {
	for i := len(legs) - 1; i > 0; i-- {
		about, quoted := &legs[i-1], &legs[i]
		switch {
		case quoted.ip.quotes == about.ip.quotes: // a tunnel
		case !about.dst.IsValid():
			about.dst = quoted.src
		case !quoted.src.IsValid():
			quoted.src = about.dst
		}
	}
}

// settle decides the family of the leg, completes its addresses and writes all
// of it to the headers.
func (l *leg) settle(d Defaults) error {
	v6, err := l.isIPv6()
	if err != nil {
		return err
	}
	if l.transport != nil {
		if err := l.transport.settleICMP(v6); err != nil {
			return err
		}
	}
	if err := l.complete(v6, d); err != nil {
		return err
	}
	if _, implied := l.ip.layer.(anyIP); implied {
		l.ip.layer = IPv4{}
		if v6 {
			l.ip.layer = IPv6{}
		}
	}
	for _, h := range []*header{l.ip, l.transport} {
		if h != nil {
			h.layer = h.layer.(addressed).withAddresses(l.src, l.dst)
		}
	}
	return nil
}

func (l *leg) isIPv6() (bool, error) {
	switch l.ip.layer.(type) {
	case IPv4:
		return false, nil
	case IPv6:
		return true, nil
	}
	switch {
	case l.src.IsValid():
		return l.src.Is6(), nil
	case l.dst.IsValid():
		return l.dst.Is6(), nil
	}
	transport := l.transport.layer // it is there, or it had not implied the IP header
	switch transport.(type) {
	case ICMP:
		return false, nil
	case ICMPv6:
		return true, nil
	}
	return false, fmt.Errorf("nothing tells IPv4 from IPv6: set %s.Dst", nameOf(transport))
}

// settleICMP turns an Echo into the message that it is in that family, and
// refuses the messages of the other family.
func (h *header) settleICMP(v6 bool) error {
	switch l := h.layer.(type) {
	case Echo:
		h.settleEcho(l, v6)
	case ICMP:
		if v6 {
			return errors.New("IPv6 cannot carry ICMP; use ICMPv6")
		}
	case ICMPv6:
		if !v6 {
			return errors.New("IPv4 cannot carry ICMPv6; use ICMP")
		}
	}
	return nil
}

func (h *header) settleEcho(echo Echo, v6 bool) {
	if v6 {
		h.layer = echo.icmpv6()
		return
	}
	h.layer = echo.icmp()
	if echo.Reply {
		h.zero = append(h.zero, "Type") // ICMPEchoReply is 0
	}
}

// complete fills the addresses that are open and checks both.
func (l *leg) complete(v6 bool, d Defaults) error {
	name, def := "IPv4", d.SrcIPv4
	if v6 {
		name, def = "IPv6", d.SrcIPv6
	}
	if !l.src.IsValid() {
		l.src = plain(def)
	}
	l.dst = l.destination()
	for _, side := range []struct {
		name string
		addr netip.Addr
	}{{"Src", l.src}, {"Dst", l.dst}} {
		if !side.addr.IsValid() {
			return fmt.Errorf("%s.%s is not set, and there is no default for it", name, side.name)
		}
		if side.addr.Is6() != v6 {
			return fmt.Errorf("%s.%s is %s, an address of the other family", name, side.name, side.addr)
		}
	}
	return nil
}

// destination returns where the leg goes: to a group if it asks all neighbours.
func (l *leg) destination() netip.Addr {
	if l.dst.IsValid() || l.transport == nil {
		return l.dst
	}
	return neighbourGroup(l.transport.layer)
}

// plain returns addr without what does not travel: a zone, the IPv6 form of an
// IPv4 address.
func plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }
