package iptables

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/topo"
)

// masqueradeMark is the packet mark that kube-proxy sets before routing on what
// must be masqueraded after it.
const masqueradeMark = "0x4000/0x4000"

// family is what differs between the rules of IPv4 and IPv6.
type family struct {
	cluster   netip.Prefix // all pods
	clusterIP func(harness.Service) netip.Addr
	backend   func(harness.Backend) netip.Addr
	node      func(topo.Node) netip.Addr
}

var (
	ipv4 = family{
		cluster:   topo.ClusterIPv4,
		clusterIP: func(s harness.Service) netip.Addr { return s.ClusterIPv4 },
		backend:   func(b harness.Backend) netip.Addr { return b.IPv4 },
		node:      func(n topo.Node) netip.Addr { return n.IPv4 },
	}
	ipv6 = family{
		cluster:   topo.ClusterIPv6,
		clusterIP: func(s harness.Service) netip.Addr { return s.ClusterIPv6 },
		backend:   func(b harness.Backend) netip.Addr { return b.IPv6 },
		node:      func(n topo.Node) netip.Addr { return n.IPv6 },
	}
)

// rules writes the tables of one node for iptables-restore, as kube-proxy does in
// its iptables mode (pkg/proxy/iptables/proxier.go): the service portals of all
// services, their ports on the node, a chain for each service that picks a
// backend with equal chances, and a chain for each backend that translates to it.
// What a network plugin would add is there too: pods that speak to the world
// outside the cluster are masqueraded.
//
// The text is for --noflush: our chains are written anew, others stay. Services
// served before, nil the first time, tell which chains there are already.
func rules(t topo.Topology, services, before []harness.Service, f family) string {
	w := &writer{topology: t, family: f, first: before == nil}
	w.filter(services)
	w.nat(services, before)
	return w.String()
}

type writer struct {
	strings.Builder
	topology topo.Topology
	family   family
	first    bool // the builtin chains do not lead to ours yet
}

func (w *writer) line(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }

// filter rejects what is addressed to a service without backends, and accepts
// what the nat table sent on.
func (w *writer) filter(services []harness.Service) {
	w.line("*filter")
	for _, chain := range []string{"KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-FORWARD"} {
		w.line(":%s - [0:0]", chain)
	}
	if w.first {
		for _, chain := range []string{"INPUT", "FORWARD", "OUTPUT"} {
			w.line("-A %s -m conntrack --ctstate NEW -j KUBE-SERVICES", chain)
		}
		w.line("-A INPUT -m conntrack --ctstate NEW -j KUBE-EXTERNAL-SERVICES")
		w.line("-A FORWARD -m conntrack --ctstate NEW -j KUBE-EXTERNAL-SERVICES")
		w.line("-A FORWARD -j KUBE-FORWARD")
	}
	for _, s := range services {
		if len(s.Backends) > 0 {
			continue
		}
		w.line("-A KUBE-SERVICES -d %s -p %s --dport %d -j REJECT", w.family.clusterIP(s), proto(s), s.Port.Number)
		if s.NodePort != 0 {
			w.line("-A KUBE-EXTERNAL-SERVICES -m addrtype --dst-type LOCAL -p %s --dport %d -j REJECT", proto(s), s.NodePort)
		}
	}
	w.line("-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP")
	w.line("-A KUBE-FORWARD -m mark --mark %s -j ACCEPT", masqueradeMark)
	w.line("-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")
	w.line("COMMIT")
}

func (w *writer) nat(services, before []harness.Service) {
	w.line("*nat")
	for _, chain := range []string{"KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ", "SKBENCH-MASQ"} {
		w.line(":%s - [0:0]", chain)
	}
	current, stale := chains(services), chains(before)
	for chain := range current {
		delete(stale, chain)
	}
	for _, chain := range slices.Concat(sorted(current), sorted(stale)) {
		w.line(":%s - [0:0]", chain)
	}
	if w.first {
		w.line("-A PREROUTING -j KUBE-SERVICES")
		w.line("-A OUTPUT -j KUBE-SERVICES")
		w.line("-A POSTROUTING -j KUBE-POSTROUTING")
		w.line("-A POSTROUTING -j SKBENCH-MASQ")
	}

	w.line("-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000")
	w.line("-A KUBE-POSTROUTING -m mark ! --mark %s -j RETURN", masqueradeMark)
	w.line("-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000")
	w.line("-A KUBE-POSTROUTING -j MASQUERADE --random-fully")

	for _, node := range w.topology.Nodes {
		w.line("-A SKBENCH-MASQ -d %s -j RETURN", w.family.node(node))
	}
	w.line("-A SKBENCH-MASQ -s %s ! -d %s -j MASQUERADE --random-fully", w.family.cluster, w.family.cluster)

	for _, s := range services {
		if len(s.Backends) > 0 {
			w.service(s)
		}
	}
	// Node ports come last, so that a cluster address on the node wins.
	w.line("-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS")
	for _, chain := range sorted(stale) {
		w.line("-X %s", chain)
	}
	w.line("COMMIT")
}

// chains are the names of the chains that services with backends need.
func chains(services []harness.Service) map[string]bool {
	names := map[string]bool{}
	for _, s := range services {
		if len(s.Backends) == 0 {
			continue
		}
		names[serviceChain(s)], names[externalChain(s)] = true, true
		for _, b := range s.Backends {
			names[backendChain(s, b)] = true
		}
	}
	return names
}

func sorted(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }

// service writes the portals of a service, and its choice of a backend.
func (w *writer) service(s harness.Service) {
	chain := serviceChain(s)
	w.line("-A KUBE-SERVICES -d %s -p %s --dport %d -j %s", w.family.clusterIP(s), proto(s), s.Port.Number, chain)
	if s.NodePort != 0 {
		w.line("-A KUBE-NODEPORTS -p %s --dport %d -j %s", proto(s), s.NodePort, externalChain(s))
	}
	// From outside, the reply must come back through this node.
	w.line("-A %s -j KUBE-MARK-MASQ", externalChain(s))
	w.line("-A %s -j %s", externalChain(s), chain)
	w.line("-A %s ! -s %s -d %s -p %s --dport %d -j KUBE-MARK-MASQ",
		chain, w.family.cluster, w.family.clusterIP(s), proto(s), s.Port.Number)

	for i, b := range s.Backends {
		choice := ""
		if left := len(s.Backends) - i; left > 1 {
			choice = fmt.Sprintf("-m statistic --mode random --probability %.10f ", 1/float64(left))
		}
		w.line("-A %s %s-j %s", chain, choice, backendChain(s, b))
		addr := w.family.backend(b)
		// A backend that reaches itself must see the reply come from elsewhere.
		w.line("-A %s -s %s -j KUBE-MARK-MASQ", backendChain(s, b), addr)
		w.line("-A %s -p %s -j DNAT --to-destination %s", backendChain(s, b), proto(s), netip.AddrPortFrom(addr, b.Port))
	}
}

// proto is the service's protocol as iptables spells it: "tcp".
func proto(s harness.Service) string { return strings.ToLower(s.Port.Protocol.String()) }

func serviceChain(s harness.Service) string  { return "KUBE-SVC-" + hash(s.Name, s.Port) }
func externalChain(s harness.Service) string { return "KUBE-EXT-" + hash(s.Name, s.Port) }
func backendChain(s harness.Service, b harness.Backend) string {
	return "KUBE-SEP-" + hash(s.Name, s.Port, b)
}

// hash is kube-proxy's way to a chain name of at most 28 bytes.
func hash(of ...any) string {
	sum := sha256.Sum256(fmt.Append(nil, of...))
	return base32.StdEncoding.EncodeToString(sum[:])[:16]
}
