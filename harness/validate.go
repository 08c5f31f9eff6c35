package harness

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// validate says what is wrong with a set of services, in one sentence.
func validate(t topo.Topology, services []Service) error {
	names, frontends := map[string]bool{}, map[frontend]string{}
	for _, s := range services {
		if names[s.Name] {
			return fmt.Errorf("two services are called %q: give one of them another name", s.Name)
		}
		names[s.Name] = true
		if err := s.validate(); err != nil {
			return fmt.Errorf("service %q %w", s.Name, err)
		}
		for _, f := range s.frontends(t) {
			switch other, taken := frontends[f]; {
			case taken && other == s.Name:
				return fmt.Errorf("service %q is at %s twice: change a port or an address", s.Name, f)
			case taken:
				return fmt.Errorf("services %q and %q are both at %s: change one", other, s.Name, f)
			case slices.ContainsFunc(s.Backends, f.is):
				return fmt.Errorf("service %q is its own backend at %s: change the port or the backend", s.Name, f)
			}
			frontends[f] = s.Name
		}
	}
	return nil
}

// validate says what is wrong with a service whatever others there are.
func (s Service) validate() error {
	switch {
	case s.Port.Number == 0:
		return fmt.Errorf("has no port: say packet.TCPPort or packet.UDPPort")
	case s.Port.Protocol != packet.ProtocolTCP && s.Port.Protocol != packet.ProtocolUDP:
		return fmt.Errorf("is of protocol %s: only TCP and UDP have ports", s.Port.Protocol)
	case s.Affinity < 0:
		return fmt.Errorf("keeps its clients for %s: give a time, or 0 for none", s.Affinity)
	}
	for _, p := range s.SourceRanges {
		if !p.IsValid() {
			return fmt.Errorf("has a source range that is none: give netip.ParsePrefix something to parse")
		}
	}
	for _, addr := range slices.Concat(s.ExternalIPs, s.LoadBalancerIPs) {
		if !addr.IsValid() {
			return fmt.Errorf("has an external address that is none: give netip.ParseAddr something to parse")
		}
	}
	return s.validateBackends()
}

func (s Service) validateBackends() error {
	needsNode := s.HostPort != 0 || s.ExternalTraffic == Local || s.InternalTraffic == Local
	seen := map[netip.AddrPort]bool{}
	for _, b := range s.Backends {
		ipv4, ipv6 := netip.AddrPortFrom(b.IPv4, b.Port), netip.AddrPortFrom(b.IPv6, b.Port)
		switch {
		case !b.IPv4.Is4() || !b.IPv6.Is6():
			return fmt.Errorf("has a backend %q that has no address: is it a pod of this lab?", b.Pod)
		case b.Port == 0:
			return fmt.Errorf("has a backend %q that has no port", b.Pod)
		case needsNode && b.Node == "":
			return fmt.Errorf("has a backend %q of no node: its policy asks where backends are", b.Pod)
		case seen[ipv4] || seen[ipv6]:
			return fmt.Errorf("has the backend %q twice", b.Pod)
		}
		seen[ipv4], seen[ipv6] = true, true
	}
	return nil
}

// frontend is where a service is reached.
type frontend struct {
	addr     netip.AddrPort
	protocol packet.Protocol
}

func (f frontend) String() string { return fmt.Sprintf("%s %s", f.protocol, f.addr) }

// is tells whether the backend is the frontend's own address.
func (f frontend) is(b Backend) bool {
	return f.addr == netip.AddrPortFrom(b.IPv4, b.Port) || f.addr == netip.AddrPortFrom(b.IPv6, b.Port)
}

// frontends are all addresses of a service, those on nodes too.
func (s Service) frontends(t topo.Topology) (all []frontend) {
	add := func(port uint16, addrs ...netip.Addr) {
		for _, addr := range addrs {
			if addr.IsValid() && port != 0 {
				all = append(all, frontend{netip.AddrPortFrom(addr, port), s.Port.Protocol})
			}
		}
	}
	add(s.Port.Number, s.ClusterIPv4, s.ClusterIPv6)
	add(s.Port.Number, s.ExternalIPs...)
	add(s.Port.Number, s.LoadBalancerIPs...)
	for _, node := range t.Nodes {
		add(s.NodePort, node.IPv4, node.IPv6)
		for _, b := range s.Backends {
			if b.Node == node.Name {
				add(s.HostPort, node.IPv4, node.IPv6)
			}
		}
	}
	return all
}
