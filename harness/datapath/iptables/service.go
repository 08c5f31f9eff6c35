package iptables

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/kubeproxy"
)

// service writes the chains of a service: from its frontends by way of the policy
// to an endpoint.
func (w *writer) service(n kubeproxy.Node, s kubeproxy.Service) {
	if s.Guarded() {
		for _, source := range s.Sources {
			w.line("-A %s -s %s -j %s", chainOf("FW", s), source, chainOf("EXT", s))
		}
	}
	if s.ServedOutside() {
		w.outside(n, s)
	}
	if inside, served := s.Inside(); served {
		// The reply to what is no pod must come back through this node.
		w.line("-A %s ! -s %s %s -j KUBE-MARK-MASQ", frontendChain(s, inside), n.Pods, To(s, inside))
	}
	for _, policy := range []harness.TrafficPolicy{harness.Cluster, harness.Local} {
		w.choice(s, policyChain(s, policy), s.Endpoints(policy))
	}
	for _, e := range s.Reachable() {
		chain, recent := endpointChain(s, e), ""
		if s.Affinity > 0 {
			recent = fmt.Sprintf("-m recent --name %s --set ", chain)
		}
		// An endpoint that reaches itself must see the reply come from elsewhere.
		w.line("-A %s -s %s -j KUBE-MARK-MASQ", chain, e.Addr())
		w.line("-A %s %s-p %s -j DNAT --to-destination %s", chain, recent, s.Protocol, e)
	}
	for _, h := range s.HostPorts {
		chain := hostPortChain(s, h)
		w.line("-A %s -s %s -p %s --dport %d -j CNI-HOSTPORT-SETMARK", chain, h.Endpoint.Addr(), s.Protocol, h.Port)
		w.line("-A %s -p %s --dport %d -j DNAT --to-destination %s", chain, s.Protocol, h.Port, h.Endpoint)
	}
}

// outside writes the chain for packets to the addresses that the world uses.
func (w *writer) outside(n kubeproxy.Node, s kubeproxy.Service) {
	chain := chainOf("EXT", s)
	if !s.LocalOutside() {
		w.line("-A %s -j KUBE-MARK-MASQ", chain) // the reply must come back through this node
		w.line("-A %s -j %s", chain, policyChain(s, harness.Cluster))
		return
	}
	w.line("-A %s -s %s -j %s", chain, n.Pods, policyChain(s, harness.Cluster))
	w.line("-A %s -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ", chain)
	w.line("-A %s -m addrtype --src-type LOCAL -j %s", chain, policyChain(s, harness.Cluster))
	if len(s.Local) > 0 {
		w.line("-A %s -j %s", chain, policyChain(s, harness.Local))
	}
}

// choice writes the chain that picks one of some endpoints: the client's last while
// affinity holds, else each with equal chances.
func (w *writer) choice(s kubeproxy.Service, chain string, endpoints []netip.AddrPort) {
	if s.Affinity > 0 {
		for _, e := range endpoints {
			w.line("-A %s -m recent --name %s --rcheck --seconds %d --reap -j %[2]s", chain, endpointChain(s, e), Seconds(s.Affinity))
		}
	}
	for i, e := range endpoints {
		choice := ""
		if left := len(endpoints) - i; left > 1 {
			choice = fmt.Sprintf("-m statistic --mode random --probability %.10f ", 1/float64(left))
		}
		w.line("-A %s %s-j %s", chain, choice, endpointChain(s, e))
	}
}

// Seconds rounds up to what the kernel counts affinity in.
func Seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// toNode matches what is addressed to the node itself.
const toNode = "-m addrtype --dst-type LOCAL "

// To matches what is addressed to a frontend.
func To(s kubeproxy.Service, f kubeproxy.Frontend) string {
	if !f.Addr.IsValid() {
		return fmt.Sprintf("%s-p %s --dport %d", toNode, s.Protocol, f.Port)
	}
	return fmt.Sprintf("-d %s -p %s --dport %d", f.Addr, s.Protocol, f.Port)
}

// frontendChain is where a frontend's portal leads to.
func frontendChain(s kubeproxy.Service, f kubeproxy.Frontend) string {
	switch {
	case f.Guarded:
		return chainOf("FW", s)
	case f.External:
		return chainOf("EXT", s)
	default:
		return policyChain(s, f.Policy)
	}
}

func policyChain(s kubeproxy.Service, p harness.TrafficPolicy) string {
	if p == harness.Local {
		return chainOf("SVL", s)
	}
	return chainOf("SVC", s)
}

// allChains are the names of some services' own chains.
func allChains(services []kubeproxy.Service) (names []string) {
	for _, s := range services {
		names = append(names, chains(s)...)
	}
	return names
}

// chains are the names of a service's own chains.
func chains(s kubeproxy.Service) (names []string) {
	for _, f := range s.Frontends {
		if f.Served {
			names = append(names, frontendChain(s, f))
		}
	}
	if s.ServedOutside() {
		names = append(names, chainOf("EXT", s))
	}
	for _, policy := range []harness.TrafficPolicy{harness.Cluster, harness.Local} {
		if len(s.Endpoints(policy)) > 0 {
			names = append(names, policyChain(s, policy))
		}
	}
	for _, e := range s.Reachable() {
		names = append(names, endpointChain(s, e))
	}
	for _, h := range s.HostPorts {
		names = append(names, hostPortChain(s, h))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func chainOf(kind string, s kubeproxy.Service) string {
	return "KUBE-" + kind + "-" + hash(s.Name, s.Protocol)
}

func endpointChain(s kubeproxy.Service, e netip.AddrPort) string {
	return "KUBE-SEP-" + hash(s.Name, s.Protocol, e)
}

func hostPortChain(s kubeproxy.Service, h kubeproxy.HostPort) string {
	return "CNI-DN-" + hash(s.Name, s.Protocol, h)
}

// hash is kube-proxy's way to a chain name of at most 28 bytes.
func hash(of ...any) string {
	sum := sha256.Sum256(fmt.Appendln(nil, of...))
	return base32.StdEncoding.EncodeToString(sum[:])[:16]
}
