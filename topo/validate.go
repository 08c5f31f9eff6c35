package topo

import (
	"fmt"
	"net/netip"
	"slices"
)

const (
	// DefaultMTU is the MTU of a topology that names none.
	DefaultMTU = 1500
	minMTU     = 1280  // RFC 8200, section 5: the least that IPv6 works with
	maxMTU     = 65535 // include/uapi/linux/if_ether.h, ETH_MAX_MTU
)

// Validate returns an error that names the first thing that is wrong, and how to mend it.
func (t Topology) Validate() error {
	if err := t.validate(); err != nil {
		return fmt.Errorf("topo: %w", err)
	}
	return nil
}

func (t Topology) validate() error {
	if err := t.validateSize(); err != nil {
		return err
	}
	if err := t.validateEncryption(); err != nil {
		return err
	}
	c := newClaims()
	for i, n := range t.Nodes {
		if err := c.node(n, t.Nodes[:i]); err != nil {
			return err
		}
	}
	for _, h := range t.Hosts {
		if err := c.underlay("host "+h.Name, h.Name, h.IPv4, h.IPv6, h.MAC); err != nil {
			return err
		}
	}
	for _, p := range t.Pods {
		if err := c.pod(p, t.Nodes); err != nil {
			return err
		}
	}
	return t.validateExtras(c)
}

func (t Topology) validateSize() error {
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

// validateExtras checks what refers to nodes and hosts by name.
func (t Topology) validateExtras(c *claims) error {
	cabled := map[string]bool{}
	for _, cable := range t.Cables {
		for _, end := range []string{cable.A, cable.B} {
			if err := c.onUnderlay(fmt.Sprintf("the cable %s-%s", cable.A, cable.B), end); err != nil {
				return err
			}
			if cabled[end] {
				return fmt.Errorf("%s has two cables, but one NIC: remove a cable", end)
			}
			cabled[end] = true
		}
	}
	for _, n := range t.Neighbours {
		what := fmt.Sprintf("the neighbour %s", n.IP)
		if err := c.onUnderlay(what, n.Machine); err != nil {
			return err
		}
		if !n.IP.IsValid() {
			return fmt.Errorf("a neighbour of %s has no address: give it one", n.Machine)
		}
		if err := validMAC(what+" of "+n.Machine, n.MAC); err != nil {
			return err
		}
	}
	for _, r := range t.Routes {
		if err := c.onUnderlay(fmt.Sprintf("the route to %s", r.Prefix), r.Machine); err != nil {
			return err
		}
		if !r.Prefix.IsValid() || r.Prefix != r.Prefix.Masked() || familyOf(r.Prefix.Addr()) != familyOf(r.Via) || !onLink(r.Via) {
			return fmt.Errorf("a route of %s leads to %s via %s: give it a prefix, and an address of its family that is on the underlay",
				r.Machine, r.Prefix, r.Via)
		}
	}
	return nil
}

// node checks a node, and its prefixes against those of the nodes before.
func (c *claims) node(n Node, before []Node) error {
	who := "node " + n.Name
	if err := c.underlay(who, n.Name, n.IPv4, n.IPv6, n.MAC); err != nil {
		return err
	}
	if err := c.address("the gateway of "+who, IPv4, n.GatewayIPv4); err != nil {
		return err
	}
	if err := c.address("the gateway of "+who, IPv6, n.GatewayIPv6); err != nil {
		return err
	}
	if err := validPods(who, IPv4, n.PodsIPv4, UnderlayIPv4, PodsIPv4(1)); err != nil {
		return err
	}
	if err := validPods(who, IPv6, n.PodsIPv6, UnderlayIPv6, PodsIPv6(1)); err != nil {
		return err
	}
	for _, other := range before {
		for _, p := range [][2]netip.Prefix{{n.PodsIPv4, other.PodsIPv4}, {n.PodsIPv6, other.PodsIPv6}} {
			if p[0].Overlaps(p[1]) {
				return fmt.Errorf("%s and node %s have overlapping prefixes for pods, %s and %s: give one of them another", who, other.Name, p[0], p[1])
			}
		}
	}
	return nil
}

// validPods checks a node's prefix for pods.
func validPods(who string, family Family, pods, underlay, example netip.Prefix) error {
	switch {
	case !pods.IsValid() || familyOf(pods.Addr()) != family:
		return fmt.Errorf("%s has no %s prefix for pods: give it one, such as %s", who, family, example)
	case pods != pods.Masked():
		return fmt.Errorf("%s has pods in %s, which has bits beyond its length: write %s", who, pods, pods.Masked())
	case pods.Overlaps(underlay):
		return fmt.Errorf("%s has pods in %s, which overlaps the underlay %s: take another prefix", who, pods, underlay)
	}
	return nil
}

func (c *claims) pod(p Pod, nodes []Node) error {
	who := "pod " + p.Name
	i := slices.IndexFunc(nodes, func(n Node) bool { return n.Name == p.Node })
	if i < 0 {
		return fmt.Errorf("%s is on node %q, which does not exist: add the node before the pod", who, p.Node)
	}
	if err := c.machine(who, p.Name, p.IPv4, p.IPv6, p.MAC); err != nil {
		return err
	}
	const mend = "%s has the address %s, which is not in its node's %s: take one from there"
	if pods := nodes[i].PodsIPv4; !pods.Contains(p.IPv4) {
		return fmt.Errorf(mend, who, p.IPv4, pods)
	}
	if pods := nodes[i].PodsIPv6; !pods.Contains(p.IPv6) {
		return fmt.Errorf(mend, who, p.IPv6, pods)
	}
	if err := c.mac("the device of "+who, p.DeviceMAC); err != nil {
		return err
	}
	return c.device(p)
}

// onLink tells whether an address is on the underlay.
func onLink(ip netip.Addr) bool { return UnderlayIPv4.Contains(ip) || UnderlayIPv6.Contains(ip) }
