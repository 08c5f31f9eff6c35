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
	ip, transport int // indexes of the headers; transport is -1 if there is none
	src, dst      netip.Addr
}

// address gives every IP header and transport of a packet its family and addresses.
func address(headers []header, d Defaults) error {
	legs, err := legsOf(headers)
	if err != nil {
		return err
	}
	turnQuotes(headers, legs)
	for i := range legs {
		if err := legs[i].settle(headers, d); err != nil {
			return err
		}
	}
	return nil
}

// legsOf returns the legs of a packet, outermost first, with the addresses that
// the template says.
func legsOf(headers []header) ([]leg, error) {
	var legs []leg
	for i, h := range headers {
		switch {
		case isIP(h.layer):
			legs = append(legs, leg{ip: i, transport: -1})
		case isTransport(h.layer):
			legs[len(legs)-1].transport = i
		default:
			continue
		}
		if said, ok := h.layer.(addressed); ok {
			if err := legs[len(legs)-1].merge(h, said); err != nil {
				return nil, err
			}
		}
	}
	return legs, nil
}

func (l *leg) merge(h header, said addressed) error {
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
				nameOf(h.layer), side.name, side.said, *side.have)
		}
	}
	return nil
}

// turnQuotes completes the addresses of ICMP errors and of the packets they
// quote from each other: an error goes to the source of the packet it is about.
func turnQuotes(headers []header, legs []leg) {
	for i := len(legs) - 1; i > 0; i-- {
		outer, quoted := &legs[i-1], &legs[i]
		if headers[quoted.ip].quotes == headers[outer.ip].quotes {
			continue
		}
		if !outer.dst.IsValid() {
			outer.dst = quoted.src
		}
	}
	for i := 1; i < len(legs); i++ {
		outer, quoted := &legs[i-1], &legs[i]
		if headers[quoted.ip].quotes > headers[outer.ip].quotes && !quoted.src.IsValid() {
			quoted.src = outer.dst
		}
	}
}

// settle decides the family of the leg, completes its addresses and writes all
// of it to the headers.
func (l *leg) settle(headers []header, d Defaults) error {
	ip, transport := &headers[l.ip], (*header)(nil)
	if l.transport >= 0 {
		transport = &headers[l.transport]
	}
	v6, err := l.isIPv6(ip, transport)
	if err != nil {
		return err
	}
	if transport != nil {
		transport.settleEcho(v6)
	}
	if err := l.complete(v6, transport, d); err != nil {
		return err
	}
	if v6 {
		ip.become(IPv6{}, l)
	} else {
		ip.become(IPv4{}, l)
	}
	if transport != nil {
		transport.layer = transport.layer.(addressed).withAddresses(l.src, l.dst)
	}
	return nil
}

// become writes the addresses of l to an IP header, which is layer if it was implied.
func (h *header) become(layer Template, l *leg) {
	if _, implied := h.layer.(anyIP); !implied {
		layer = h.layer
	}
	h.layer = layer.(addressed).withAddresses(l.src, l.dst)
}

func (l *leg) isIPv6(ip, transport *header) (bool, error) {
	switch ip.layer.(type) {
	case IPv4:
		return false, nil
	case IPv6:
		return true, nil
	}
	// The header is implied, so there is a layer that implied it.
	switch {
	case l.src.IsValid():
		return l.src.Is6(), nil
	case l.dst.IsValid():
		return l.dst.Is6(), nil
	}
	switch transport.layer.(type) {
	case ICMP:
		return false, nil
	case ICMPv6:
		return true, nil
	}
	return false, fmt.Errorf("nothing tells IPv4 from IPv6: set %s.Dst", nameOf(transport.layer))
}

// complete fills the addresses that are open and checks all of them.
func (l *leg) complete(v6 bool, transport *header, d Defaults) error {
	name, def := "IPv4", d.SrcIPv4
	if v6 {
		name, def = "IPv6", d.SrcIPv6
	}
	if !l.src.IsValid() {
		l.src = plain(def)
	}
	if !l.dst.IsValid() && transport != nil {
		l.dst = neighbourGroup(transport.layer)
	}
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
	if transport == nil {
		return nil
	}
	switch transport.layer.(type) {
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

// settleEcho turns an Echo into the message that it is in that family.
func (h *header) settleEcho(v6 bool) {
	echo, ok := h.layer.(Echo)
	if !ok {
		return
	}
	if v6 {
		h.layer = echo.icmpv6()
		return
	}
	h.layer = echo.icmp()
	if echo.Reply {
		h.zero = append(h.zero, "Type") // ICMPEchoReply is 0
	}
}

// plain returns addr without what does not travel: a zone, the IPv6 form of an IPv4 address.
func plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }
