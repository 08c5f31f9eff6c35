package harness

import (
	"net/netip"

	"github.com/skbench/skbench/topo"
)

// addresses are a machine's own, one of each family.
type addresses struct {
	pair
	gateway pair   // of a pod
	node    string // that a pod runs on
}

type pair struct{ ipv4, ipv6 netip.Addr }

func (p pair) of(f topo.Family) netip.Addr {
	if f == topo.IPv6 {
		return p.ipv6
	}
	return p.ipv4
}

// addressesOf collects the addresses of a topology's machines by their names.
func addressesOf(t topo.Topology) map[string]addresses {
	all, gateways := map[string]addresses{}, map[string]pair{}
	for _, n := range t.Nodes {
		all[n.Name] = addresses{pair: pair{n.IPv4, n.IPv6}}
		gateways[n.Name] = pair{n.GatewayIPv4, n.GatewayIPv6}
	}
	for _, p := range t.Pods {
		all[p.Name] = addresses{pair: pair{p.IPv4, p.IPv6}, gateway: gateways[p.Node], node: p.Node}
	}
	for _, h := range t.Hosts {
		all[h.Name] = addresses{pair: pair{h.IPv4, h.IPv6}}
	}
	return all
}
