package bpf

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// Protocol is an IP protocol number.
type Protocol uint8

// The protocols that the datapath translates.
const (
	ICMP   Protocol = 1
	TCP    Protocol = 6
	UDP    Protocol = 17
	ICMPv6 Protocol = 58
)

func (p Protocol) String() string {
	switch p {
	case ICMP:
		return "ICMP"
	case TCP:
		return "TCP"
	case UDP:
		return "UDP"
	case ICMPv6:
		return "ICMPv6"
	}
	return strconv.Itoa(int(p))
}

// Tuple is a flow in one direction. An ICMP echo has its identifier where a port of the machine that pings would be: a
// request in Src, a reply in Dst; the other port is 0.
type Tuple struct {
	Src, Dst netip.AddrPort
	Protocol Protocol
}

// Reverse returns the tuple of the answers.
func (t Tuple) Reverse() Tuple { return Tuple{Src: t.Dst, Dst: t.Src, Protocol: t.Protocol} }

func (t Tuple) String() string { return fmt.Sprintf("%s %s -> %s", t.Protocol, t.Src, t.Dst) }

// rawAddr writes IPv4 as IPv4-mapped IPv6, as struct addr does; the zero address is all zero.
func rawAddr(a netip.Addr) hostAddr {
	if !a.IsValid() {
		return hostAddr{}
	}
	return hostAddr{Bytes: a.As16()}
}

func (a hostAddr) addr() netip.Addr { return netip.AddrFrom16(a.Bytes).Unmap() }

// rawPort turns a port into network byte order, as it lies in maps.
func rawPort(p uint16) uint16 { return p<<8 | p>>8 }

func (t hostTuple) tuple() Tuple {
	return Tuple{
		Src:      netip.AddrPortFrom(t.Saddr.addr(), rawPort(t.Sport)),
		Dst:      netip.AddrPortFrom(t.Daddr.addr(), rawPort(t.Dport)),
		Protocol: Protocol(t.Proto),
	}
}

func rawMAC(mac net.HardwareAddr) ([6]uint8, error) {
	if len(mac) != 6 {
		return [6]uint8{}, fmt.Errorf("%q is no Ethernet address: give 6 bytes", mac)
	}
	return [6]uint8(mac), nil
}
