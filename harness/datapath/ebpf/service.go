package ebpf

import (
	"net/netip"
	"reflect"
	"slices"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/feature"
)

// serve makes the node serve exactly these services, or with an error what it served before. Each frontend changes in one
// step; those that stay as they are are not touched.
func (n *node) serve(services []harness.Service) error {
	wanted := n.frontends(services)
	var changed []bpf.Service
	for frontend, s := range wanted {
		if !reflect.DeepEqual(n.served[frontend], s) {
			changed = append(changed, s)
		}
	}
	var gone []bpf.Frontend
	for frontend := range n.served {
		if _, stays := wanted[frontend]; !stays {
			gone = append(gone, frontend)
		}
	}
	if err := n.programs.Serve(changed, gone); err != nil {
		return err
	}
	n.served = wanted
	return n.abortStranded()
}

// abortStranded ends connected UDP sockets of the node and its pods whose backend is gone from their service. No program sees what
// they send, so that is how their applications learn of it; when they connect again, they get another backend.
func (n *node) abortStranded() error {
	if lacks(feature.UDPAbort) {
		return nil
	}
	stranded, err := n.programs.StrandedSockets()
	if err != nil || len(stranded) == 0 {
		return err
	}
	type end struct {
		cookie uint64
		peer   netip.AddrPort
	}
	dead := map[end]bool{}
	for _, s := range stranded {
		dead[end{s.Cookie, s.Backend}] = true
	}
	for _, m := range n.clients {
		err := m.AbortUDP(func(peer netip.AddrPort, cookie uint64) bool { return dead[end{cookie, peer}] })
		if err != nil {
			return err
		}
	}
	return nil
}

// frontends are the addresses at which the node serves: the cluster addresses of all services and those that the world routes
// to the nodes, and its own addresses for node ports, and for host ports of its own pods.
func (n *node) frontends(services []harness.Service) map[bpf.Frontend]bpf.Service {
	all := map[bpf.Frontend]bpf.Service{}
	for _, s := range services {
		add := func(addr netip.Addr, port uint16, described bpf.Service) {
			if !addr.IsValid() || port == 0 {
				return
			}
			described.Frontend = bpf.Frontend{Addr: netip.AddrPortFrom(addr, port), Protocol: bpf.Protocol(s.Port.Protocol)}
			described.Affinity, described.Group, described.Maglev = s.Affinity, s.Name, n.maglev
			described.Backends = n.backends(s, addr.Is4())
			all[described.Frontend] = described
		}
		inside := bpf.Service{InternalLocal: s.InternalTraffic == harness.Local}
		world := bpf.Service{External: true, ExternalLocal: s.ExternalTraffic == harness.Local, DSR: n.dsr}
		add(s.ClusterIPv4, s.Port.Number, inside)
		add(s.ClusterIPv6, s.Port.Number, inside)
		for _, addr := range s.ExternalIPs {
			add(addr, s.Port.Number, world)
		}
		for _, addr := range s.LoadBalancerIPs {
			ranged := world
			ranged.Sources = sources(s, addr.Is4())
			add(addr, s.Port.Number, ranged)
		}
		for _, addr := range []netip.Addr{n.IPv4, n.IPv6} {
			nodePort := world
			nodePort.NodePort = true
			add(addr, s.NodePort, nodePort)
			if n.hosts(s) {
				add(addr, s.HostPort, bpf.Service{External: true, ExternalLocal: true, InternalLocal: true})
			}
		}
	}
	return all
}

func (n *node) backends(s harness.Service, ipv4 bool) []bpf.Backend {
	var backends []bpf.Backend
	for _, b := range s.Backends {
		addr := b.IPv6
		if ipv4 {
			addr = b.IPv4
		}
		backends = append(backends, bpf.Backend{
			Addr: netip.AddrPortFrom(addr, b.Port), Local: b.Node == n.Name, Terminating: b.Terminating,
		})
	}
	return backends
}

// hosts tells whether one of the service's backends runs on the node.
func (n *node) hosts(s harness.Service) bool {
	return slices.ContainsFunc(s.Backends, func(b harness.Backend) bool { return b.Node == n.Name })
}

// sources are the service's source ranges of one family.
func sources(s harness.Service, ipv4 bool) []netip.Prefix {
	return slices.DeleteFunc(slices.Clone(s.SourceRanges), func(p netip.Prefix) bool { return p.Addr().Is4() != ipv4 })
}
