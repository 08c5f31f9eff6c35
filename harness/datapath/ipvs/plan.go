package ipvs

import (
	"fmt"
	"net/netip"

	"github.com/skbench/skbench/harness/datapath/kubeproxy"
)

// virtual is a virtual service of IPVS: what it balances, and to whom.
type virtual struct {
	frontend
	endpoints []netip.AddrPort
	backends  []netip.AddrPort // those that keep the flows that they have
}

// frontend is what IPVS knows a virtual service by: where packets are addressed to,
// or the mark that they carry.
type frontend struct {
	at       netip.AddrPort // with a mark: of the family, and nothing else
	protocol string
	mark     uint32
}

// String is the frontend as ipvsadm(8) takes it.
func (f frontend) String() string {
	switch {
	case f.mark == 0:
		return fmt.Sprintf("-%.1s %s", f.protocol, f.at)
	case f.at.Addr().Is6():
		return fmt.Sprintf("-f %#x -6", f.mark)
	default:
		return fmt.Sprintf("-f %#x", f.mark)
	}
}

// virtuals are the virtual services of a service: one for each frontend and, where
// pods and the node itself follow another policy than the world, one for the mark
// that their packets carry.
func virtuals(n kubeproxy.Node, s kubeproxy.Service, mark func(service string) uint32) (all []virtual) {
	for _, f := range s.Frontends {
		addr := f.Addr
		if !addr.IsValid() {
			addr = n.Addr
		}
		at := frontend{at: netip.AddrPortFrom(addr, f.Port), protocol: s.Protocol}
		all = append(all, virtual{at, s.Endpoints(f.Policy), s.Backends})
	}
	if s.LocalOutside() {
		at := frontend{at: netip.AddrPortFrom(n.Any(), 0), protocol: s.Protocol, mark: mark(s.Name)}
		all = append(all, virtual{at, s.Cluster, s.Backends})
	}
	return all
}

// addresses are those that the node must take for its own, for IPVS to see packets
// to them.
func addresses(services []kubeproxy.Service) map[netip.Addr]bool {
	all := map[netip.Addr]bool{}
	for _, s := range services {
		for _, f := range s.Frontends {
			if f.Addr.IsValid() {
				all[f.Addr] = true
			}
		}
	}
	return all
}
