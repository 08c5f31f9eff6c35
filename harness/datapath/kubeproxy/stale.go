package kubeproxy

import (
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/topo"
)

// Stale tells which tracked flows of UDP must be forgotten once the services are
// served: those to a frontend whose reply is awaited from somebody who is no
// backend of the service. UDP has no end that the kernel could see, so a client
// that goes on sending would stay with a backend that is gone; or, where none was
// there when it began, with none for ever. It is nil where no flow can be stale.
//
// Backends that are terminating keep their flows, and those of a service that has
// lost its last backend stay too, as with TCP.
func (n Node) Stale(services []Service) func(topo.Flow) bool {
	backends := map[netip.AddrPort][]netip.AddrPort{} // by frontend
	for _, s := range services {
		if s.Protocol != "udp" || len(s.Backends) == 0 {
			continue
		}
		for _, f := range s.Frontends {
			addr := f.Addr
			if !addr.IsValid() {
				addr = n.Addr
			}
			backends[netip.AddrPortFrom(addr, f.Port)] = s.Backends
		}
		for _, h := range s.HostPorts {
			backends[netip.AddrPortFrom(n.Addr, h.Port)] = []netip.AddrPort{h.Endpoint}
		}
	}
	if len(backends) == 0 {
		return nil
	}
	return func(f topo.Flow) bool {
		of, ok := backends[f.Dst]
		return ok && f.Protocol == unix.IPPROTO_UDP && !slices.Contains(of, f.ReplySrc)
	}
}
