package topo

import (
	"encoding/binary"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Family tells IPv4 from IPv6.
type Family uint8

// The families.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// String is "IPv4" or "IPv6".
func (f Family) String() string {
	if f == IPv4 {
		return "IPv4"
	}
	return "IPv6"
}

// number is the address family that the kernel knows it by.
func (f Family) number() int {
	if f == IPv4 {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

func familyOf(ip netip.Addr) Family {
	if ip.Is4() {
		return IPv4
	}
	return IPv6
}

// single is the prefix that holds one address only.
func single(ip netip.Addr) netip.Prefix { return netip.PrefixFrom(ip, ip.BitLen()) }

// The digits of an address tell its owner; a number above 255 goes on in the byte or group before:
//
//	node N      172.16.0.N   fd00:172:16::N
//	host H      172.31.0.H   fd00:172:31::H
//	pod P of N  10.0.N.P     fd00:10:0:N::P
//	gateway     10.0.N.254   fd00:10:0:N::254
//	service S   203.0.113.S  2001:db8:203:113::S
//
// IPv6 groups carry decimal digits as text: node 12 is fd00:172:16::12.
var (
	// UnderlayIPv4 and UnderlayIPv6 are on-link for every node and host.
	UnderlayIPv4 = netip.MustParsePrefix("172.16.0.0/12")
	UnderlayIPv6 = netip.MustParsePrefix("fd00:172::/32")

	// ClusterIPv4 and ClusterIPv6 hold the pods of all nodes.
	ClusterIPv4 = netip.MustParsePrefix("10.0.0.0/8")
	ClusterIPv6 = netip.MustParsePrefix("fd00:10::/32")

	// ServicesIPv4 and ServicesIPv6 (both for documentation, RFC 5737 and RFC 3849) hold the services' addresses that
	// balancers announce to a router: see Balancers.
	ServicesIPv4 = netip.MustParsePrefix("203.0.113.0/24")
	ServicesIPv6 = netip.MustParsePrefix("2001:db8:203:113::/64")

	// BenchmarkIPv4 (RFC 2544) and BenchmarkIPv6 (RFC 5180) hold the many clients that the tester of Wire stands in for.
	BenchmarkIPv4 = netip.MustParsePrefix("198.18.0.0/15")
	BenchmarkIPv6 = netip.MustParsePrefix("2001:2::/48")
)

const (
	maxNumber = 9999 // of a node or host: four decimal digits fit into one group of an IPv6 address
	gateway   = 254  // the number of a node's gateway address among its pods
)

// NodeIPv4 is the address of node n: 172.16.0.n.
func NodeIPv4(n int) netip.Addr { return netip.AddrFrom4([4]byte{172, 16, byte(n >> 8), byte(n)}) }

// NodeIPv6 is the address of node n: fd00:172:16::n.
func NodeIPv6(n int) netip.Addr { return groups(0xfd00, 0x172, 0x16, 0, 0, 0, 0, decimal(n)) }

// HostIPv4 is the address of host h: 172.31.0.h.
func HostIPv4(h int) netip.Addr { return netip.AddrFrom4([4]byte{172, 31, byte(h >> 8), byte(h)}) }

// HostIPv6 is the address of host h: fd00:172:31::h.
func HostIPv6(h int) netip.Addr { return groups(0xfd00, 0x172, 0x31, 0, 0, 0, 0, decimal(h)) }

// PodsIPv4 holds the pods of node n: 10.0.n.0/24.
func PodsIPv4(n int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n), 0}), 24)
}

// PodsIPv6 holds the pods of node n: fd00:10:0:n::/64.
func PodsIPv6(n int) netip.Prefix {
	return netip.PrefixFrom(groups(0xfd00, 0x10, decimal(n>>8), decimal(n&255), 0, 0, 0, 0), 64)
}

// PodIP is the address of pod p in the prefix of a node: 10.0.1.0/24 and fd00:10:0:1::/64 give 10.0.1.p and
// fd00:10:0:1::p. It is outside of a prefix that has no room for so many.
func PodIP(pods netip.Prefix, p int) netip.Addr {
	if pods.Addr().Is4() {
		ip := pods.Addr().As4()
		binary.BigEndian.PutUint32(ip[:], binary.BigEndian.Uint32(ip[:])+uint32(p))
		return netip.AddrFrom4(ip)
	}
	ip := pods.Addr().As16()
	last := binary.BigEndian.Uint16(ip[14:])
	binary.BigEndian.PutUint16(ip[14:], last+decimal(p))
	return netip.AddrFrom16(ip)
}

// ServiceIPv4 is address s of services behind a balancer: 203.0.113.s.
func ServiceIPv4(s int) netip.Addr { return PodIP(ServicesIPv4, s) }

// ServiceIPv6 is address s of services behind a balancer: 2001:db8:203:113::s.
func ServiceIPv6(s int) netip.Addr { return PodIP(ServicesIPv6, s) }

// groups is the IPv6 address of eight groups.
func groups(g ...uint16) netip.Addr {
	var ip [16]byte
	for i := range g {
		binary.BigEndian.PutUint16(ip[2*i:], g[i])
	}
	return netip.AddrFrom16(ip)
}

// decimal returns the group that reads like n: 254 gives 0x254.
func decimal(n int) (group uint16) {
	for shift := 0; n > 0; n, shift = n/10, shift+4 {
		group |= uint16(n % 10 << shift)
	}
	return group
}

// The second byte of a MAC tells what it belongs to.
const (
	macNode   = 1 // eth0 of a node
	macHost   = 2 // eth0 of a host
	macPod    = 3 // eth0 of a pod
	macDevice = 4 // the node's end of a pod's veth pair
	macPort   = 5 // a port of the switch
	macIsland = 6 // a device of an island
)

// mac is locally administered (first byte 02); kind, number p within the node, and number n of the node or host can be
// read off: pod 3 of node 1 has 02:03:00:03:00:01.
func mac(kind byte, p, n int) net.HardwareAddr {
	return net.HardwareAddr{2, kind, byte(p >> 8), byte(p), byte(n >> 8), byte(n)}
}
