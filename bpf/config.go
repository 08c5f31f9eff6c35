package bpf

import (
	"fmt"
	"net"
	"net/netip"
)

// Config is what one node's programs are built with. Its fields become constants, so what it switches off costs nothing.
type Config struct {
	// The node's own addresses: NodePort frontends, source of masqueraded packets. A zero address: no such family.
	IPv4, IPv6 netip.Addr
	// What the node's pods route through. The programs answer ARP and neighbour discovery for them.
	GatewayIPv4, GatewayIPv6 netip.Addr

	NIC    int // interface index
	NICMAC net.HardwareAddr
	MTU    int // of the NIC, without the Ethernet header; 0 means 1500

	// DSR has the node take part in direct server return: it may send packets to backends on other machines encapsulated
	// ([Service].DSR), and takes those that other nodes have so sent to backends here ([Node.PutDirect]).
	DSR bool

	// WireGuard is the interface index of the device that encrypts what is routed to it; 0: there is none. IPsec: the kernel's policies
	// encrypt what goes from pods of one node to those of another, so its stack must forward it.
	WireGuard int
	IPsec     bool

	// Source ports for SNAT; the zero value means DefaultSNATPorts. The node itself must not use them
	// (net.ipv4.ip_local_reserved_ports). A power of two of them lets allocation try each.
	SNATPorts PortRange

	// Delay slows the programs of the NIC down, by so many turns of an empty loop for each packet: for tests of benchmarks.
	Delay uint16

	// Trace makes every program report every packet as an [Event]. Counters run always.
	Trace bool

	// NetNSCookie is that of the node's own network namespace (SO_NETNS_COOKIE), by which programs at sockets tell the node's
	// from its pods'. 0: they do not, and the node's services are not at its loopback addresses.
	NetNSCookie uint64

	// Do as on a kernel without bpf_redirect_peer or bpf_redirect_neigh (before 5.10): use bpf_redirect.
	WithoutRedirectPeer, WithoutRedirectNeigh bool

	// Do as on a kernel without bpf_set_retval at sockets (before 6.1): a call for a service without backends fails with EPERM
	// instead of ECONNREFUSED.
	WithoutSetRetval bool
}

// PortRange is a range of ports, both ends included.
type PortRange struct{ Min, Max uint16 }

// String is the range as ip_local_reserved_ports has it: "49152-65535".
func (r PortRange) String() string { return fmt.Sprintf("%d-%d", r.Min, r.Max) }

// DefaultSNATPorts are the dynamic ports of RFC 6335.
var DefaultSNATPorts = PortRange{Min: 49152, Max: 65535}

func (c Config) raw() (hostNodeConfig, error) {
	if !c.IPv4.IsValid() && !c.IPv6.IsValid() {
		return hostNodeConfig{}, fmt.Errorf("bpf: config has neither IPv4 nor IPv6: give the node an address")
	}
	for _, field := range []struct {
		name string
		addr netip.Addr
		is   bool
	}{
		{"IPv4", c.IPv4, c.IPv4.Is4()}, {"GatewayIPv4", c.GatewayIPv4, c.GatewayIPv4.Is4()},
		{"IPv6", c.IPv6, isIPv6(c.IPv6)}, {"GatewayIPv6", c.GatewayIPv6, isIPv6(c.GatewayIPv6)},
	} {
		if field.addr.IsValid() && !field.is {
			return hostNodeConfig{}, fmt.Errorf("bpf: config: %s is %s: give an address of that family", field.name, field.addr)
		}
	}
	mac, err := rawMAC(c.NICMAC)
	if err != nil {
		return hostNodeConfig{}, fmt.Errorf("bpf: config: NICMAC: %w", err)
	}
	if c.NIC <= 0 {
		return hostNodeConfig{}, fmt.Errorf("bpf: config: NIC is %d: give the interface index of the node's NIC", c.NIC)
	}
	ports := c.SNATPorts
	if ports == (PortRange{}) {
		ports = DefaultSNATPorts
	}
	if ports.Min == 0 || ports.Max < ports.Min {
		return hostNodeConfig{}, fmt.Errorf("bpf: config: SNATPorts %s is no range: give 1 <= Min <= Max", ports)
	}
	if c.MTU == 0 {
		c.MTU = 1500
	}
	if c.MTU < 1280 || c.MTU > 65535 {
		return hostNodeConfig{}, fmt.Errorf("bpf: config: MTU is %d: give 1280, the least that IPv6 has, to 65535", c.MTU)
	}
	return hostNodeConfig{
		Ipv4:        rawAddr(c.IPv4),
		Ipv6:        rawAddr(c.IPv6),
		GatewayIpv4: rawAddr(c.GatewayIPv4),
		GatewayIpv6: rawAddr(c.GatewayIPv6),
		Nic:         uint32(c.NIC),
		NicMac:      mac,
		SnatPortMin: ports.Min,
		SnatPortMax: ports.Max,
		Trace:       flag(c.Trace),
		// What was decrypted carries a note of it, which a pod's stack takes for a policy that it does not have, and drops. Before 6.16, and
		// updates of older releases, only bpf_redirect takes the note off.
		HasRedirectPeer:  flag(!c.WithoutRedirectPeer && !c.IPsec),
		HasRedirectNeigh: flag(!c.WithoutRedirectNeigh),
		HasSetRetval:     flag(!c.WithoutSetRetval),
		NetnsCookie:      c.NetNSCookie,
		Dsr:              flag(c.DSR),
		Mtu:              uint16(c.MTU),
		Delay:            c.Delay,
		Wireguard:        uint32(c.WireGuard),
		Ipsec:            flag(c.IPsec),
	}, nil
}

func isIPv6(a netip.Addr) bool { return a.Is6() && !a.Is4In6() }

func flag(on bool) uint8 {
	if on {
		return 1
	}
	return 0
}
