package topo

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

const (
	// DefaultMTU is the MTU of a topology that names none.
	DefaultMTU = 1500
	minMTU     = 1280  // RFC 8200, section 5: the least that IPv6 works with
	maxMTU     = 65535 // include/uapi/linux/if_ether.h, ETH_MAX_MTU

	maxDeviceName = 15 // include/uapi/linux/if.h, IFNAMSIZ less the zero byte
	macLength     = 6
)

// Validate returns an error that names the first thing that is wrong, and how to mend it.
func (t Topology) Validate() error {
	v := validator{
		machines:  map[string]string{},
		addresses: map[netip.Addr]string{},
		macs:      map[string]string{},
		devices:   map[string]string{},
		nodes:     map[string]Node{},
	}
	for _, check := range []func(Topology) error{v.limits, v.checkNodes, v.checkHosts, v.checkPods, v.checkCables, v.checkExtras} {
		if err := check(t); err != nil {
			return fmt.Errorf("topo: %w", err)
		}
	}
	return nil
}

// A validator collects who has which name, address and MAC.
type validator struct {
	machines  map[string]string // name of a machine → what it is, such as "node node1"
	addresses map[netip.Addr]string
	macs      map[string]string
	devices   map[string]string // "node1/lxc-web" → the pod
	nodes     map[string]Node
}

func (v validator) limits(t Topology) error {
	switch {
	case t.mtu() < minMTU:
		return fmt.Errorf("an MTU of %d is too small for IPv6: make it %d or more", t.MTU, minMTU)
	case t.mtu() > maxMTU:
		return fmt.Errorf("an MTU of %d is more than a veth pair carries: make it %d or less", t.MTU, maxMTU)
	case len(t.Nodes) > maxNumber || len(t.Hosts) > maxNumber:
		return fmt.Errorf("%d nodes and %d hosts are too many: have %d or fewer of each", len(t.Nodes), len(t.Hosts), maxNumber)
	}
	return nil
}

func (v validator) checkNodes(t Topology) error {
	for i, n := range t.Nodes {
		who := "node " + n.Name
		if err := v.underlay(who, n.Name, n.IPv4, n.IPv6, n.MAC); err != nil {
			return err
		}
		for _, p := range []struct {
			pods, underlay netip.Prefix
			gateway        netip.Addr
			ip4            bool
		}{
			{n.PodsIPv4, UnderlayIPv4, n.GatewayIPv4, true},
			{n.PodsIPv6, UnderlayIPv6, n.GatewayIPv6, false},
		} {
			switch {
			case !p.pods.IsValid() || p.pods.Addr().Is4() != p.ip4:
				return fmt.Errorf("%s has no %s prefix for pods: give it one such as %s", who, familyName(p.ip4), example(p.ip4))
			case p.pods != p.pods.Masked():
				return fmt.Errorf("%s has pods in %s, which has bits beyond its length: write %s", who, p.pods, p.pods.Masked())
			case p.pods.Overlaps(p.underlay):
				return fmt.Errorf("%s has pods in %s, which overlaps the underlay %s: take another prefix", who, p.pods, p.underlay)
			}
			for _, other := range t.Nodes[:i] {
				if p.pods.Overlaps(other.PodsIPv4) || p.pods.Overlaps(other.PodsIPv6) {
					return fmt.Errorf("%s and node %s have overlapping pod prefixes at %s: give one of them another", who, other.Name, p.pods)
				}
			}
			if err := v.address("the gateway of "+who, p.gateway, p.ip4); err != nil {
				return err
			}
		}
		v.nodes[n.Name] = n
	}
	return nil
}

func (v validator) checkHosts(t Topology) error {
	for _, h := range t.Hosts {
		if err := v.underlay("host "+h.Name, h.Name, h.IPv4, h.IPv6, h.MAC); err != nil {
			return err
		}
	}
	return nil
}

func (v validator) checkPods(t Topology) error {
	for _, p := range t.Pods {
		who := "pod " + p.Name
		node, ok := v.nodes[p.Node]
		if !ok {
			return fmt.Errorf("%s is on node %q, which does not exist: add the node before the pod", who, p.Node)
		}
		if err := v.machine(who, p.Name, p.IPv4, p.IPv6, p.MAC); err != nil {
			return err
		}
		if err := v.mac(who+"'s device", p.DeviceMAC); err != nil {
			return err
		}
		if err := v.device(p); err != nil {
			return err
		}
		if !node.PodsIPv4.Contains(p.IPv4) || !node.PodsIPv6.Contains(p.IPv6) {
			return fmt.Errorf("%s has addresses %s and %s, which are not all within its node's %s and %s: take addresses from these",
				who, p.IPv4, p.IPv6, node.PodsIPv4, node.PodsIPv6)
		}
	}
	return nil
}

func (v validator) checkCables(t Topology) error {
	plugged := map[string]bool{}
	for _, c := range t.Cables {
		for _, end := range []string{c.A, c.B} {
			if err := v.onUnderlay(fmt.Sprintf("the cable %s-%s", c.A, c.B), end); err != nil {
				return err
			}
			if plugged[end] {
				return fmt.Errorf("%s has two cables, but only one NIC: remove a cable", end)
			}
			plugged[end] = true
		}
	}
	return nil
}

func (v validator) checkExtras(t Topology) error {
	for _, n := range t.Neighbours {
		if err := v.onUnderlay(fmt.Sprintf("the neighbour %s", n.IP), n.Machine); err != nil {
			return err
		}
		if !n.IP.IsValid() || len(n.MAC) != macLength {
			return fmt.Errorf("a neighbour of %s has address %s and MAC %q: give it both", n.Machine, n.IP, n.MAC)
		}
	}
	for _, r := range t.Routes {
		if err := v.onUnderlay(fmt.Sprintf("the route to %s", r.Prefix), r.Machine); err != nil {
			return err
		}
		if !r.Prefix.IsValid() || r.Prefix != r.Prefix.Masked() || r.Prefix.Addr().Is4() != r.Via.Is4() || !onLink(r.Via) {
			return fmt.Errorf("a route of %s leads to %s via %s: give it a prefix, and an address of the same family on the underlay (%s, %s)",
				r.Machine, r.Prefix, r.Via, UnderlayIPv4, UnderlayIPv6)
		}
	}
	return nil
}

// underlay checks a machine that is on the underlay.
func (v validator) underlay(who, name string, ipv4, ipv6 netip.Addr, mac net.HardwareAddr) error {
	if err := v.machine(who, name, ipv4, ipv6, mac); err != nil {
		return err
	}
	for _, ip := range []netip.Addr{ipv4, ipv6} {
		if !onLink(ip) {
			return fmt.Errorf("%s has address %s, which is not on the underlay: take one from %s or %s", who, ip, UnderlayIPv4, UnderlayIPv6)
		}
	}
	return nil
}

// machine checks what every machine has.
func (v validator) machine(who, name string, ipv4, ipv6 netip.Addr, mac net.HardwareAddr) error {
	if name == "" || strings.ContainsAny(name, "/ \t\n") || name == switchName {
		return fmt.Errorf("%q cannot name a machine: take a name without spaces and slashes other than %q", name, switchName)
	}
	if other, taken := v.machines[name]; taken {
		return fmt.Errorf("%s and %s have the same name: rename one of them", other, who)
	}
	v.machines[name] = who
	if err := v.address(who, ipv4, true); err != nil {
		return err
	}
	if err := v.address(who, ipv6, false); err != nil {
		return err
	}
	return v.mac(who, mac)
}

func (v validator) address(who string, ip netip.Addr, ip4 bool) error {
	if !ip.IsValid() || ip.Is4() != ip4 || ip.IsMulticast() || ip.IsUnspecified() || ip.Zone() != "" {
		return fmt.Errorf("%s has %q for its %s address: give it one of its own", who, ip, familyName(ip4))
	}
	if other, taken := v.addresses[ip]; taken {
		return fmt.Errorf("%s and %s have the same address %s: give one of them another", other, who, ip)
	}
	v.addresses[ip] = who
	return nil
}

func (v validator) mac(who string, mac net.HardwareAddr) error {
	if len(mac) != macLength || mac[0]&1 != 0 || slices.Max(mac) == 0 {
		return fmt.Errorf("%s has %q for its MAC: give it a unicast one of six bytes", who, mac)
	}
	if other, taken := v.macs[mac.String()]; taken {
		return fmt.Errorf("%s and %s have the same MAC %s: give one of them another", other, who, mac)
	}
	v.macs[mac.String()] = who
	return nil
}

func (v validator) device(p Pod) error {
	name := p.Device
	if name == "" || len(name) > maxDeviceName || strings.ContainsAny(name, "/: \t\n") || slices.Contains([]string{".", "..", "all", "default", "lo", NIC}, name) {
		return fmt.Errorf("pod %s has the device %q: take a name of at most %d bytes, such as lxc-web", p.Name, name, maxDeviceName)
	}
	if other, taken := v.devices[p.Node+"/"+name]; taken {
		return fmt.Errorf("pods %s and %s have the same device %s on node %s: rename one of them", other, p.Name, name, p.Node)
	}
	v.devices[p.Node+"/"+name] = p.Name
	return nil
}

// onUnderlay checks that what is about a machine names a node or host.
func (v validator) onUnderlay(what, machine string) error {
	who, ok := v.machines[machine]
	if !ok || strings.HasPrefix(who, "pod ") {
		return fmt.Errorf("%s is about %q, which is no node or host: add it, or name another", what, machine)
	}
	return nil
}

func onLink(ip netip.Addr) bool { return UnderlayIPv4.Contains(ip) || UnderlayIPv6.Contains(ip) }

func familyName(ip4 bool) string {
	if ip4 {
		return "IPv4"
	}
	return "IPv6"
}

func example(ip4 bool) netip.Prefix {
	if ip4 {
		return PodsIPv4(1)
	}
	return PodsIPv6(1)
}
