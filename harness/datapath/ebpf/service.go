package ebpf

import (
	"net/netip"
	"reflect"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness"
)

// serve makes the node serve exactly these services. Each frontend changes in one
// step; those that stay as they are are not touched.
func (n *node) serve(services []harness.Service) error {
	wanted := n.frontends(services)
	for frontend, s := range wanted {
		if reflect.DeepEqual(n.served[frontend], s) {
			continue
		}
		if err := n.programs.PutService(s); err != nil {
			return err
		}
	}
	for frontend := range n.served {
		if _, stays := wanted[frontend]; stays {
			continue
		}
		if err := n.programs.DeleteService(frontend); err != nil {
			return err
		}
	}
	n.served = wanted
	return nil
}

// frontends are the addresses at which the node serves: the cluster addresses of
// all services, and its own addresses for their node ports.
func (n *node) frontends(services []harness.Service) map[bpf.Frontend]bpf.Service {
	all := map[bpf.Frontend]bpf.Service{}
	for _, s := range services {
		var ipv4, ipv6 []netip.AddrPort
		for _, b := range s.Backends {
			ipv4 = append(ipv4, netip.AddrPortFrom(b.IPv4, b.Port))
			ipv6 = append(ipv6, netip.AddrPortFrom(b.IPv6, b.Port))
		}
		add := func(addr netip.Addr, port uint16, external bool, backends []netip.AddrPort) {
			f := bpf.Frontend{Addr: netip.AddrPortFrom(addr, port), Protocol: bpf.Protocol(s.Port.Protocol)}
			all[f] = bpf.Service{Frontend: f, Backends: backends, External: external}
		}
		add(s.ClusterIPv4, s.Port.Number, false, ipv4)
		add(s.ClusterIPv6, s.Port.Number, false, ipv6)
		if s.NodePort != 0 {
			add(n.IPv4, s.NodePort, true, ipv4)
			add(n.IPv6, s.NodePort, true, ipv6)
		}
	}
	return all
}
