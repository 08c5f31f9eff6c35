package packet

import "reflect"

// carrierOf returns the layer that t implies in front of it.
func carrierOf(t Template) Template {
	switch t.(type) {
	case TCP, UDP, ICMP, ICMPv6, Echo:
		return anyIP{}
	case IPv6Extension, IPv6Fragment:
		return IPv6{}
	case IPv4, IPv6, anyIP, ARP:
		return Ethernet{}
	case VXLAN:
		return UDP{}
	}
	return nil
}

// carries reports whether inner may follow outer at once.
func carries(outer, inner Template) bool {
	switch outer.(type) {
	case Ethernet:
		_, arp := inner.(ARP)
		return isIP(inner) || arp || isRaw(inner)
	case IPv4, anyIP:
		return isIP(inner) || isTransport(inner) || isRaw(inner)
	case IPv6, IPv6Extension, IPv6Fragment:
		return isIP(inner) || isTransport(inner) || isExtension(inner) || isRaw(inner)
	case UDP:
		_, vxlan := inner.(VXLAN)
		return vxlan
	case VXLAN:
		return isEthernet(inner) || isRaw(inner)
	}
	return false
}

func isRaw(t Template) bool {
	_, ok := t.(Raw)
	return ok
}

func isEthernet(t Template) bool {
	_, ok := t.(Ethernet)
	return ok
}

func isIP(t Template) bool {
	switch t.(type) {
	case IPv4, IPv6, anyIP:
		return true
	}
	return false
}

func isTransport(t Template) bool {
	switch t.(type) {
	case TCP, UDP, ICMP, ICMPv6, Echo:
		return true
	}
	return false
}

func isExtension(t Template) bool {
	switch t.(type) {
	case IPv6Extension, IPv6Fragment:
		return true
	}
	return false
}

// embedded returns the template of the packet that an ICMP error quotes.
func embedded(t Template) Template {
	switch t := t.(type) {
	case ICMP:
		return t.Embedded
	case ICMPv6:
		return t.Embedded
	}
	return nil
}

// nameOf returns the name of a layer, as its type is called.
func nameOf(t Template) string {
	if _, ok := t.(anyIP); ok {
		return "IP"
	}
	return reflect.TypeOf(t).Name()
}
