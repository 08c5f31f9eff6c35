// Package kubeproxy is what kube-proxy decides before it writes a rule: at which
// addresses a node serves a service, which endpoints each of them leads to there,
// and what becomes of a packet for which there is none. The iptables, nftables and
// ipvs datapaths write down the same decisions, each in its own way:
//
//	for _, s := range kubeproxy.On(topology, node, topo.IPv4).Services(services) {
//		for _, f := range s.Frontends {
//			// f.Addr and f.Port lead to s.Endpoints(f.Policy)
//		}
//	}
package kubeproxy

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/topo"
)

// MasqueradeBit is set in the mark of a packet, before routing, that must be
// masqueraded after it.
const MasqueradeBit = 0x4000

// Node is what kube-proxy knows of its node in one address family: it works for
// each family alone.
type Node struct {
	Name    string
	Family  topo.Family
	Addr    netip.Addr   // where it serves node ports and host ports
	OwnPods []netip.Addr // those on it
	Pods    netip.Prefix // those of the cluster
	Nodes   []netip.Addr // of the cluster, its own too
}

// On describes a node of a topology in one family.
func On(t topo.Topology, node string, family topo.Family) Node {
	n := Node{Name: node, Family: family, Pods: topo.ClusterIPv4}
	if family == topo.IPv6 {
		n.Pods = topo.ClusterIPv6
	}
	for _, other := range t.Nodes {
		addr := n.of(other.IPv4, other.IPv6)
		n.Nodes = append(n.Nodes, addr)
		if other.Name == node {
			n.Addr = addr
		}
	}
	for _, pod := range t.Pods {
		if pod.Node == node {
			n.OwnPods = append(n.OwnPods, n.of(pod.IPv4, pod.IPv6))
		}
	}
	return n
}

// Any is the address of the family that stands for all: 0.0.0.0 or ::.
func (n Node) Any() netip.Addr { return n.of(netip.IPv4Unspecified(), netip.IPv6Unspecified()) }

// Service is a service as one node serves it in one family.
type Service struct {
	Name      string
	Protocol  string // "tcp", "udp"
	Frontends []Frontend
	HostPorts []HostPort

	// Endpoints by traffic policy. One that is terminating is among them only where
	// all others are too. Those of a policy that no frontend follows are left out.
	Cluster, Local []netip.AddrPort

	Backends []netip.AddrPort // all that there are, those too that get no new flows

	Sources  []netip.Prefix // that may use guarded frontends
	Affinity time.Duration  // a client keeps its endpoint so long after its last flow; 0: no longer than the flow
}

// Frontend is an address at which a node serves a service.
type Frontend struct {
	Addr netip.Addr // not valid: the node's own, for a node port
	Port uint16

	// External: for packets from outside of the cluster. Those of pods and of the
	// node itself follow the policy Cluster there, whatever is said here, as if they
	// had gone out to a balancer and come back.
	External bool
	Policy   harness.TrafficPolicy
	Guarded  bool // only the service's Sources may use it

	// Served: there is an endpoint for some packets at least. Refused is why the
	// others get none, and empty when all do.
	Served  bool
	Refused Reason
}

// Reason is why a packet is refused, as Forwarder.Drops calls it.
type Reason string

// The reasons. The sender is told of the first, and may as well give up. The others
// pass over in silence: the service is there, though not for this packet here.
const (
	NoBackend      Reason = "NO_BACKEND"
	NoLocalBackend Reason = "NO_LOCAL_BACKEND"
	NotInRange     Reason = "SOURCE_RANGE"
	Invalid        Reason = "CT_INVALID" // the kernel cannot place it in a flow, so it would not be translated
)

// Reasons are all of them.
var Reasons = []Reason{NoBackend, NoLocalBackend, NotInRange, Invalid}

// HostPort is a port of the node that leads to a pod on it. It is the network
// plugin's, and knows neither policies nor affinity.
type HostPort struct {
	Port     uint16
	Endpoint netip.AddrPort
}

// Services are what the node serves, in the order given.
func (n Node) Services(all []harness.Service) []Service {
	services := make([]Service, len(all))
	for i, s := range all {
		services[i] = n.service(s)
	}
	return services
}

func (n Node) service(s harness.Service) Service {
	local := slices.DeleteFunc(slices.Clone(s.Backends), func(b harness.Backend) bool { return b.Node != n.Name })
	cluster := n.endpoints(eligible(s.Backends))
	served := Service{
		Name: s.Name, Protocol: strings.ToLower(s.Port.Protocol.String()), Affinity: s.Affinity,
		Local:    n.endpoints(eligible(local)),
		Backends: n.endpoints(s.Backends),
		Sources:  slices.DeleteFunc(slices.Clone(s.SourceRanges), func(p netip.Prefix) bool { return !n.speaks(p.Addr()) }),
	}
	if s.HostPort != 0 {
		for _, e := range n.endpoints(local) {
			served.HostPorts = append(served.HostPorts, HostPort{Port: s.HostPort, Endpoint: e})
		}
	}

	if addr := n.of(s.ClusterIPv4, s.ClusterIPv6); addr.IsValid() {
		served.add(Frontend{Addr: addr, Port: s.Port.Number, Policy: s.InternalTraffic}, cluster)
	}
	for _, addr := range s.ExternalIPs {
		if n.speaks(addr) {
			served.add(Frontend{Addr: addr, Port: s.Port.Number, External: true, Policy: s.ExternalTraffic}, cluster)
		}
	}
	for _, addr := range s.LoadBalancerIPs {
		if n.speaks(addr) {
			served.add(Frontend{Addr: addr, Port: s.Port.Number, External: true, Policy: s.ExternalTraffic, Guarded: len(served.Sources) > 0}, cluster)
		}
	}
	if s.NodePort != 0 {
		served.add(Frontend{Port: s.NodePort, External: true, Policy: s.ExternalTraffic}, cluster)
	}

	if served.uses(func(f Frontend) bool { return f.Policy == harness.Cluster || f.External }) {
		served.Cluster = cluster
	}
	if !served.uses(func(f Frontend) bool { return f.Policy == harness.Local }) {
		served.Local = nil
	}
	return served
}

// add adds a frontend to a service that has these endpoints in the whole cluster.
func (s *Service) add(f Frontend, cluster []netip.AddrPort) {
	hasNone := f.Policy == harness.Local && len(s.Local) == 0
	switch {
	case len(cluster) == 0:
		f.Refused = NoBackend
	case hasNone && f.External:
		f.Served, f.Refused = true, NoLocalBackend
	case hasNone:
		f.Refused = NoLocalBackend
	default:
		f.Served = true
	}
	s.Frontends = append(s.Frontends, f)
}

func (s Service) uses(like func(Frontend) bool) bool { return slices.ContainsFunc(s.Frontends, like) }

// Endpoints are those that may be chosen under a traffic policy.
func (s Service) Endpoints(p harness.TrafficPolicy) []netip.AddrPort {
	if p == harness.Local {
		return s.Local
	}
	return s.Cluster
}

// Guarded tells whether a frontend that has an endpoint is kept for Sources.
func (s Service) Guarded() bool {
	return s.uses(func(f Frontend) bool { return f.Guarded && f.Served })
}

// Reachable are all endpoints that some packet may be sent to, each once.
func (s Service) Reachable() []netip.AddrPort {
	all := slices.Clone(s.Cluster)
	for _, e := range s.Local { // a terminating one may be nowhere else
		if !slices.Contains(all, e) {
			all = append(all, e)
		}
	}
	return all
}

// Inside is the cluster address, if the service has one and an endpoint for it.
func (s Service) Inside() (f Frontend, served bool) {
	i := slices.IndexFunc(s.Frontends, func(f Frontend) bool { return !f.External && f.Served })
	if i < 0 {
		return Frontend{}, false
	}
	return s.Frontends[i], true
}

// ServedOutside tells whether the service has a frontend for packets from outside
// that has an endpoint for some of them.
func (s Service) ServedOutside() bool {
	return s.uses(func(f Frontend) bool { return f.External && f.Served })
}

// LocalOutside tells whether packets from outside find local endpoints only.
func (s Service) LocalOutside() bool {
	return s.uses(func(f Frontend) bool { return f.External && f.Policy == harness.Local })
}

// eligible leaves out backends that are terminating, unless all are.
func eligible(backends []harness.Backend) []harness.Backend {
	staying := slices.DeleteFunc(slices.Clone(backends), func(b harness.Backend) bool { return b.Terminating })
	if len(staying) == 0 {
		return backends
	}
	return staying
}

func (n Node) endpoints(backends []harness.Backend) (endpoints []netip.AddrPort) {
	for _, b := range backends {
		endpoints = append(endpoints, netip.AddrPortFrom(n.of(b.IPv4, b.IPv6), b.Port))
	}
	return endpoints
}

// of picks the address of the node's family.
func (n Node) of(ipv4, ipv6 netip.Addr) netip.Addr {
	if n.Family == topo.IPv6 {
		return ipv6
	}
	return ipv4
}

func (n Node) speaks(addr netip.Addr) bool { return addr.Is6() == (n.Family == topo.IPv6) }
