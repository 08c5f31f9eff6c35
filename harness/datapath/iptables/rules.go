package iptables

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/kubeproxy"
)

// rules writes the tables of one node and family for iptables-restore, as
// kube-proxy does in its iptables mode (pkg/proxy/iptables/proxier.go), with the
// host ports of the plugin portmap (containernetworking/plugins), and what a network
// plugin would add: pods that speak to the world are masqueraded.
//
// The text is for --noflush: chains that it names are written anew, others stay.
// So the chains that lead to services always are, and those of a service only when
// it is not as it was before. Served before is nil the first time.
func rules(n kubeproxy.Node, services, before []kubeproxy.Service) string {
	w := &writer{node: n}
	w.filter(services, before == nil)
	w.nat(services, before)
	return w.String()
}

type writer struct {
	strings.Builder
	node kubeproxy.Node
}

func (w *writer) line(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }

// empty makes chains, or empties those that are there.
func (w *writer) empty(chains ...string) {
	for _, chain := range chains {
		w.line(":%s - [0:0]", chain)
	}
}

// refusals name, for each reason, the chain of one rule that refuses. kube-proxy
// refuses at once; here it goes by a chain that is never written again, so that the
// rule's counter is that of all packets refused for the reason.
var refusals = map[kubeproxy.Reason]struct{ chain, target string }{
	kubeproxy.NoBackend:      {"SKBENCH-NO-BACKEND", "REJECT"},
	kubeproxy.NoLocalBackend: {"SKBENCH-NO-LOCAL-BACKEND", "DROP"},
	kubeproxy.NotInRange:     {"SKBENCH-SOURCE-RANGE", "DROP"},
	kubeproxy.Invalid:        {"SKBENCH-CT-INVALID", "DROP"},
}

// filter refuses what is addressed to a service and got no endpoint from the nat
// table, and accepts what it sent on.
func (w *writer) filter(services []kubeproxy.Service, first bool) {
	w.line("*filter")
	w.empty("KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-PROXY-FIREWALL")
	if first {
		w.empty("KUBE-FORWARD")
		for _, reason := range kubeproxy.Reasons {
			w.empty(refusals[reason].chain)
			w.line("-A %s -j %s", refusals[reason].chain, refusals[reason].target)
		}
		for _, jump := range []struct {
			to   string
			from []string
		}{
			{"KUBE-EXTERNAL-SERVICES", []string{"INPUT", "FORWARD"}},
			{"KUBE-SERVICES", []string{"FORWARD", "OUTPUT"}},
			{"KUBE-PROXY-FIREWALL", []string{"INPUT", "FORWARD", "OUTPUT"}},
		} {
			for _, chain := range jump.from {
				w.line("-A %s -m conntrack --ctstate NEW -j %s", chain, jump.to)
			}
		}
		w.line("-A FORWARD -j KUBE-FORWARD")
		w.line("-A KUBE-FORWARD -m conntrack --ctstate INVALID -j %s", refusals[kubeproxy.Invalid].chain)
		w.line("-A KUBE-FORWARD -m mark --mark %s -j ACCEPT", masqueraded)
		w.line("-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")
	}
	for _, s := range services {
		for _, f := range s.Frontends {
			if f.Refused != "" {
				chain := "KUBE-SERVICES"
				if f.External {
					chain = "KUBE-EXTERNAL-SERVICES"
				}
				w.line("-A %s %s -j %s", chain, to(s, f), refusals[f.Refused].chain)
			}
			if f.Guarded && f.Served {
				w.line("-A KUBE-PROXY-FIREWALL %s -j %s", to(s, f), refusals[kubeproxy.NotInRange].chain)
			}
		}
	}
	w.line("COMMIT")
}

// nat picks endpoints.
func (w *writer) nat(services, before []kubeproxy.Service) {
	old, stale := map[string]kubeproxy.Service{}, map[string]bool{}
	for _, s := range before {
		old[s.Name] = s
		for _, chain := range chains(s) {
			stale[chain] = true
		}
	}
	var changed []kubeproxy.Service
	for _, s := range services {
		for _, chain := range chains(s) {
			delete(stale, chain)
		}
		if was, ok := old[s.Name]; !ok || !reflect.DeepEqual(was, s) {
			changed = append(changed, s)
		}
	}

	w.line("*nat")
	w.empty("KUBE-SERVICES", "KUBE-NODEPORTS", "CNI-HOSTPORT-DNAT")
	if before == nil {
		w.masquerading()
	}
	for _, s := range changed {
		w.empty(chains(s)...)
	}
	w.empty(sorted(stale)...) // so that none leads to another when it is deleted

	for _, s := range services {
		w.portals(s)
	}
	// Node ports come last, so that a cluster address on the node wins.
	w.line("-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS")
	for _, s := range changed {
		w.service(s)
	}
	for _, chain := range sorted(stale) {
		w.line("-X %s", chain)
	}
	w.line("COMMIT")
}

func sorted(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }

// masqueraded matches the mark that KUBE-MARK-MASQ sets, hostPortMark the one that
// portmap does.
var (
	masqueraded  = fmt.Sprintf("%#x/%#[1]x", kubeproxy.MasqueradeBit)
	hostPortMark = "0x2000/0x2000"
)

// masquerading leads the builtin chains to ours, and masquerades.
func (w *writer) masquerading() {
	w.empty("KUBE-POSTROUTING", "KUBE-MARK-MASQ", "CNI-HOSTPORT-SETMARK", "CNI-HOSTPORT-MASQ", "SKBENCH-MASQ")
	for _, chain := range []string{"PREROUTING", "OUTPUT"} {
		w.line("-A %s -j KUBE-SERVICES", chain)
		w.line("-A %s -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT", chain)
	}
	w.line("-A POSTROUTING -j KUBE-POSTROUTING")
	w.line("-A POSTROUTING -j CNI-HOSTPORT-MASQ")
	w.line("-A POSTROUTING -j SKBENCH-MASQ")

	w.line("-A KUBE-MARK-MASQ -j MARK --or-mark %#x", kubeproxy.MasqueradeBit)
	w.line("-A KUBE-POSTROUTING -m mark ! --mark %s -j RETURN", masqueraded)
	w.line("-A KUBE-POSTROUTING -j MARK --xor-mark %#x", kubeproxy.MasqueradeBit)
	w.line("-A KUBE-POSTROUTING -j MASQUERADE --random-fully")

	w.line("-A CNI-HOSTPORT-SETMARK -j MARK --set-xmark %s", hostPortMark)
	w.line("-A CNI-HOSTPORT-MASQ -m mark --mark %s -j MASQUERADE", hostPortMark)

	for _, node := range w.node.Nodes {
		w.line("-A SKBENCH-MASQ -d %s -j RETURN", node)
	}
	w.line("-A SKBENCH-MASQ -s %s ! -d %[1]s -j MASQUERADE --random-fully", w.node.Pods)
}

// portals lead from a service's addresses to its chains.
func (w *writer) portals(s kubeproxy.Service) {
	for _, f := range s.Frontends {
		if !f.Served {
			continue
		}
		chain := "KUBE-SERVICES"
		if !f.Addr.IsValid() {
			chain = "KUBE-NODEPORTS" // reached by packets to the node's own addresses alone
		}
		w.line("-A %s %s -j %s", chain, strings.TrimPrefix(to(s, f), toNode), frontendChain(s, f))
	}
	for _, h := range s.HostPorts {
		w.line("-A CNI-HOSTPORT-DNAT -p %s --dport %d -j %s", s.Protocol, h.Port, hostPortChain(s, h))
	}
}

// service writes the chains of a service: from its frontends by way of the policy
// to an endpoint.
func (w *writer) service(s kubeproxy.Service) {
	if s.Guarded() {
		for _, source := range s.Sources {
			w.line("-A %s -s %s -j %s", chainOf("FW", s), source, chainOf("EXT", s))
		}
	}
	if s.ServedOutside() {
		w.outside(s)
	}
	if inside := s.Frontends[0]; inside.Served {
		// The reply to what is no pod must come back through this node.
		w.line("-A %s ! -s %s %s -j KUBE-MARK-MASQ", frontendChain(s, inside), w.node.Pods, to(s, inside))
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
func (w *writer) outside(s kubeproxy.Service) {
	chain := chainOf("EXT", s)
	if !s.LocalOutside() {
		w.line("-A %s -j KUBE-MARK-MASQ", chain) // the reply must come back through this node
		w.line("-A %s -j %s", chain, policyChain(s, harness.Cluster))
		return
	}
	w.line("-A %s -s %s -j %s", chain, w.node.Pods, policyChain(s, harness.Cluster))
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
			w.line("-A %s -m recent --name %s --rcheck --seconds %d --reap -j %[2]s", chain, endpointChain(s, e), seconds(s.Affinity))
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

// seconds rounds up to what xt_recent counts in.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// toNode matches what is addressed to the node itself.
const toNode = "-m addrtype --dst-type LOCAL "

// to matches what is addressed to a frontend.
func to(s kubeproxy.Service, f kubeproxy.Frontend) string {
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
