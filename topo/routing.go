package topo

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// An address on a device, with the length of the prefix that is on-link there.
type address struct {
	device Device
	prefix netip.Prefix
}

// linkLocal is the IPv6 link-local address of a device, formed from its MAC (RFC 4291, appendix A). A node needs it to
// solicit neighbours for packets that are not its own, every machine to see whether those it knows are still there.
func linkLocal(d Device) address {
	ip := [16]byte{0: 0xfe, 1: 0x80,
		8: d.MAC[0] ^ 2, 9: d.MAC[1], 10: d.MAC[2], 11: 0xff, 12: 0xfe, 13: d.MAC[3], 14: d.MAC[4], 15: d.MAC[5]}
	return address{d, netip.PrefixFrom(netip.AddrFrom16(ip), 64)}
}

// A route out of a device.
type route struct {
	device Device
	prefix netip.Prefix
	via    []netip.Addr // equal ways; none: on-link
	source netip.Addr   // of the machine's own packets, where it is not for the kernel to choose
	mtu    int          // of the way; 0: the device's
}

// RouteAdd adds or replaces the route to prefix: by way of via, which eth0 reaches; by several, each for a part of the flows.
// NextHop follows it.
func (m *Machine) RouteAdd(prefix netip.Prefix, via ...netip.Addr) error {
	if len(via) == 0 {
		return fmt.Errorf("topo: a route of %s to %s leads nowhere: give it a next hop", m.name, prefix)
	}
	return m.putRoute(route{device: m.nic(), prefix: prefix.Masked(), via: slices.Clone(via)})
}

// RouteOnLink adds or replaces the route to prefix: who has its addresses is asked for on the link of eth0.
func (m *Machine) RouteOnLink(prefix netip.Prefix) error {
	return m.putRoute(route{device: m.nic(), prefix: prefix.Masked()})
}

// RouteMTU makes the way of a route that the machine has a narrow one: no packet of more bytes goes by it, as if a link in the
// distance took no larger ones and the machine knew.
func (m *Machine) RouteMTU(prefix netip.Prefix, mtu int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.routes, func(r route) bool { return r.prefix == prefix.Masked() })
	if i < 0 {
		return fmt.Errorf("topo: %s has no route to %s that could have an MTU: add one (Topology.Routes, Machine.RouteAdd)", m.name, prefix)
	}
	r := m.routes[i]
	r.mtu = mtu
	return m.putRouteLocked(r)
}

func (m *Machine) putRoute(r route) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.putRouteLocked(r)
}

func (m *Machine) putRouteLocked(r route) error {
	if err := m.rtnl.do(r.request()); err != nil {
		return fmt.Errorf("topo: %w", err)
	}
	m.routes = append(slices.DeleteFunc(m.routes, r.replaces), r)
	return nil
}

// replaces tells whether the kernel has r in place of an older route.
func (r route) replaces(older route) bool {
	return older.prefix == r.prefix && older.device.Index == r.device.Index
}

// NeighbourAdd adds or replaces a permanent neighbour of eth0. NextHop follows it.
func (m *Machine) NeighbourAdd(ip netip.Addr, mac net.HardwareAddr) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.rtnl.do(newNeighbour(m.nic(), ip, mac)); err != nil {
		return fmt.Errorf("topo: %w", err)
	}
	m.neighbours[ip] = mac
	return nil
}

// NextHop returns the device by which the machine sends to dst, and the MAC that such a frame must carry. The kernel is not
// asked: it follows from the topology, RouteAdd and NeighbourAdd. Of several next hops it is the first.
func (m *Machine) NextHop(dst netip.Addr) (Device, net.HardwareAddr, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if mac := multicastMAC(dst); mac != nil {
		return m.nic(), mac, nil
	}
	best, ok := m.route(dst)
	if !ok {
		return Device{}, nil, fmt.Errorf("topo: %s has no route to %s: add one (Topology.Routes, Machine.RouteAdd)", m.name, dst)
	}
	hop := dst
	if len(best.via) > 0 {
		hop = best.via[0]
	}
	if mac := m.owner(best.device, hop); mac != nil {
		return best.device, mac, nil
	}
	return Device{}, nil, fmt.Errorf("topo: %s knows no machine with the address %s on %s: add a neighbour (Topology.Neighbours, Machine.NeighbourAdd)",
		m.name, hop, best.device)
}

// route finds the longest prefix that holds dst, and the newest of equals.
func (m *Machine) route(dst netip.Addr) (best route, ok bool) {
	consider := func(r route) {
		if r.prefix.Contains(dst) && (!ok || r.prefix.Bits() >= best.prefix.Bits()) {
			best, ok = r, true
		}
	}
	for _, a := range m.addresses {
		if !a.prefix.IsSingleIP() {
			consider(route{device: a.device, prefix: a.prefix})
		}
	}
	for _, r := range m.routes {
		consider(r)
	}
	return best, ok
}

// owner is the MAC that answers for an address on the link of a device, nil if none does.
func (m *Machine) owner(d Device, ip netip.Addr) net.HardwareAddr {
	if mac, ok := m.neighbours[ip]; ok && d.Name == NIC {
		return mac
	}
	e, err := m.end(d.Name)
	if err != nil {
		return nil
	}
	if m.kind == KindPod || e.Name != NIC {
		return e.peer.MAC // between pod and node there is nobody else
	}
	return m.network.macs[ip]
}

// multicastMAC is where frames to a multicast address go (RFC 1112, section 6.4; RFC 2464, section 7), nil for others.
func multicastMAC(ip netip.Addr) net.HardwareAddr {
	if !ip.IsMulticast() {
		return nil
	}
	b := ip.AsSlice()
	if ip.Is4() {
		return net.HardwareAddr{0x01, 0x00, 0x5e, b[1] & 0x7f, b[2], b[3]}
	}
	return net.HardwareAddr{0x33, 0x33, b[12], b[13], b[14], b[15]}
}

// configuration is what makes a device of the machine usable once it is up: addresses, routes, neighbours. It may be put
// in anew, after the device was down.
func (m *Machine) configuration(d Device) (requests []request) {
	for _, a := range m.addresses {
		if a.device.Index == d.Index {
			requests = append(requests, newAddress(d, a.prefix))
		}
	}
	for _, r := range m.routes {
		if r.device.Index == d.Index {
			requests = append(requests, r.request())
		}
	}
	if d.Name == NIC {
		for ip, mac := range m.neighbours {
			requests = append(requests, newNeighbour(d, ip, mac))
		}
	}
	return requests
}
