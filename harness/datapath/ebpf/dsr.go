package ebpf

import (
	"net/netip"
	"slices"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness"
)

// WithDSR has backends on other nodes than the one that a client addresses answer the client themselves (direct server
// return): packets get there encapsulated, and see the client's address.
func WithDSR() Option {
	return func(d *datapath) { d.name += "-dsr"; d.dsr = true }
}

// place is a frontend and the address of a backend of it, which has one port there.
type place struct {
	bpf.Frontend
	backend netip.Addr
}

// expect makes the node take what others balance to its backends of these services, beside what it takes already.
func (n *node) expect(services []harness.Service) error {
	for at, direct := range n.directs(services) {
		if n.expected[at] == direct {
			continue
		}
		if err := n.programs.PutDirect(direct); err != nil {
			return err
		}
		n.expected[at] = direct
	}
	return nil
}

// expectOnly makes the node take nothing for other services than these any more.
func (n *node) expectOnly(services []harness.Service) error {
	wanted := n.directs(services)
	for at, direct := range n.expected {
		if _, stays := wanted[at]; stays {
			continue
		}
		if err := n.programs.DeleteDirect(direct); err != nil {
			return err
		}
		delete(n.expected, at)
	}
	return nil
}

// directs are the node's backends, each by every frontend at which other nodes balance to it.
func (n *node) directs(services []harness.Service) map[place]bpf.Direct {
	all := map[place]bpf.Direct{}
	if !n.dsr {
		return all
	}
	for _, s := range services {
		for _, b := range s.Backends {
			if b.Node != n.Name {
				continue
			}
			add := func(addr netip.Addr, port uint16) {
				backend := netip.AddrPortFrom(b.IPv6, b.Port)
				if addr.Is4() {
					backend = netip.AddrPortFrom(b.IPv4, b.Port)
				}
				frontend := bpf.Frontend{Addr: netip.AddrPortFrom(addr, port), Protocol: bpf.Protocol(s.Port.Protocol)}
				all[place{frontend, backend.Addr()}] = bpf.Direct{Frontend: frontend, Backend: backend}
			}
			for _, addr := range slices.Concat(s.ExternalIPs, s.LoadBalancerIPs) {
				add(addr, s.Port.Number)
			}
			if s.NodePort != 0 {
				add(netip.IPv4Unspecified(), s.NodePort)
				add(netip.IPv6Unspecified(), s.NodePort)
			}
		}
	}
	return all
}
