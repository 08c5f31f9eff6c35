package iptables

import (
	"fmt"
	"slices"
	"strings"

	"github.com/skbench/skbench/harness/datapath/kubeproxy"
)

// A text for iptables-restore --noflush: chains that it names in the head of a table
// are made or emptied, others stay.
type writer struct{ strings.Builder }

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

// Refusal is the chain of the filter table that refuses packets for a reason.
func Refusal(reason kubeproxy.Reason) string { return refusals[reason].chain }

// masqueraded matches the mark that KUBE-MARK-MASQ sets, hostPortMark the one that
// portmap does.
var (
	masqueraded  = fmt.Sprintf("%#x/%#[1]x", kubeproxy.MasqueradeBit)
	hostPortMark = "0x2000/0x2000"
)

// SetUp writes what never changes: the chains that kube-proxy hangs into the builtin
// ones in its iptables mode (pkg/proxy/iptables/proxier.go), those of the plugin
// portmap for host ports (containernetworking/plugins), and what a network plugin
// would add: pods that speak to the world are masqueraded.
func SetUp(n kubeproxy.Node) string {
	w := &writer{}
	w.line("*filter")
	w.empty("KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-PROXY-FIREWALL", "KUBE-FORWARD")
	for _, reason := range kubeproxy.Reasons {
		w.empty(refusals[reason].chain)
	}
	for _, reason := range kubeproxy.Reasons {
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
	w.line("-A KUBE-FORWARD -m conntrack --ctstate INVALID -j %s", Refusal(kubeproxy.Invalid))
	w.line("-A KUBE-FORWARD -m mark --mark %s -j ACCEPT", masqueraded)
	w.line("-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")
	w.line("COMMIT")

	w.line("*nat")
	w.empty("KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ")
	w.empty("CNI-HOSTPORT-DNAT", "CNI-HOSTPORT-SETMARK", "CNI-HOSTPORT-MASQ", "SKBENCH-MASQ")
	for _, chain := range []string{"PREROUTING", "OUTPUT"} {
		w.line("-A %s -j KUBE-SERVICES", chain)
		w.line("-A %s %s-j CNI-HOSTPORT-DNAT", chain, toNode)
	}
	w.line("-A POSTROUTING -j KUBE-POSTROUTING")
	w.line("-A POSTROUTING -j CNI-HOSTPORT-MASQ")
	w.line("-A POSTROUTING -j SKBENCH-MASQ")
	w.line("-A KUBE-SERVICES %s-j KUBE-NODEPORTS", toNode)

	w.line("-A KUBE-MARK-MASQ -j MARK --or-mark %#x", kubeproxy.MasqueradeBit)
	w.line("-A KUBE-POSTROUTING -m mark ! --mark %s -j RETURN", masqueraded)
	w.line("-A KUBE-POSTROUTING -j MARK --xor-mark %#x", kubeproxy.MasqueradeBit)
	w.line("-A KUBE-POSTROUTING -j MASQUERADE --random-fully")

	w.line("-A CNI-HOSTPORT-SETMARK -j MARK --set-xmark %s", hostPortMark)
	w.line("-A CNI-HOSTPORT-MASQ -m mark --mark %s -j MASQUERADE", hostPortMark)

	for _, node := range n.Nodes {
		w.line("-A SKBENCH-MASQ -d %s -j RETURN", node)
	}
	w.line("-A SKBENCH-MASQ -s %s ! -d %[1]s -j MASQUERADE --random-fully", n.Pods)
	w.line("COMMIT")
	return w.String()
}

// chunk is how many services come or go in one text. For every line of a text
// iptables-restore walks a list of all chains that the text names, so the time goes
// by the square of them.
const chunk = 200

// update writes what is to be changed, as texts to be restored one after the other.
// One of them leads packets to the services as they are now; where many services
// come or go, chains that no packet can reach are made before it and deleted after.
func update(n kubeproxy.Node, c kubeproxy.Change) (texts []string) {
	came, before := c.Came, []kubeproxy.Service(nil)
	if len(came) > chunk {
		came, before = nil, came
	}
	went, after := c.Went, []kubeproxy.Service(nil)
	if len(went) > chunk {
		went, after = nil, went
	}

	for some := range slices.Chunk(before, chunk) {
		w := &writer{}
		w.line("*nat")
		w.services(n, some)
		w.line("COMMIT")
		texts = append(texts, w.String())
	}
	w := &writer{}
	w.filter(c.All)
	w.line("*nat")
	now := slices.Concat(c.Changed, came)
	w.services(n, now)
	w.portals(c.All)
	stale := allChains(slices.Concat(c.Old, went))
	w.remove(slices.DeleteFunc(stale, among(allChains(now))))
	w.line("COMMIT")
	texts = append(texts, w.String())
	for some := range slices.Chunk(after, chunk) {
		w := &writer{}
		w.line("*nat")
		w.remove(allChains(some))
		w.line("COMMIT")
		texts = append(texts, w.String())
	}
	return texts
}

// among tells whether a chain is one of some.
func among(some []string) func(string) bool {
	set := map[string]bool{}
	for _, chain := range some {
		set[chain] = true
	}
	return func(chain string) bool { return set[chain] }
}

// filter refuses what is addressed to a service and got no endpoint from the nat
// table.
func (w *writer) filter(services []kubeproxy.Service) {
	w.line("*filter")
	w.empty("KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-PROXY-FIREWALL")
	for _, s := range services {
		for _, f := range s.Frontends {
			if f.Refused != "" {
				chain := "KUBE-SERVICES"
				if f.External {
					chain = "KUBE-EXTERNAL-SERVICES"
				}
				w.line("-A %s %s -j %s", chain, To(s, f), Refusal(f.Refused))
			}
			if f.Guarded && f.Served {
				w.line("-A KUBE-PROXY-FIREWALL %s -j %s", To(s, f), Refusal(kubeproxy.NotInRange))
			}
		}
	}
	w.line("COMMIT")
}

// services writes the chains of services.
func (w *writer) services(n kubeproxy.Node, services []kubeproxy.Service) {
	w.empty(allChains(services)...)
	for _, s := range services {
		w.service(n, s)
	}
}

// portals lead from the services' addresses to their chains.
func (w *writer) portals(services []kubeproxy.Service) {
	type portal struct{ chain, matches, target string }
	var portals []portal
	for _, s := range services {
		for _, f := range s.Frontends {
			if !f.Served {
				continue
			}
			p := portal{"KUBE-SERVICES", To(s, f), frontendChain(s, f)}
			if !f.Addr.IsValid() {
				p.chain, p.matches = "KUBE-NODEPORTS", strings.TrimPrefix(p.matches, toNode) // which led there
			}
			portals = append(portals, p)
		}
		for _, h := range s.HostPorts {
			portals = append(portals, portal{"CNI-HOSTPORT-DNAT", fmt.Sprintf("-p %s --dport %d", s.Protocol, h.Port), hostPortChain(s, h)})
		}
	}
	// Their order is of no account, as with kube-proxy, but iptables-restore's list of
	// chains is in order of the alphabet, and what comes first in it is put in at once.
	slices.SortStableFunc(portals, func(a, b portal) int { return strings.Compare(b.target, a.target) })
	w.empty("KUBE-SERVICES", "KUBE-NODEPORTS", "CNI-HOSTPORT-DNAT")
	for _, p := range portals {
		w.line("-A %s %s -j %s", p.chain, p.matches, p.target)
	}
	// Node ports come last, so that a cluster address on the node wins.
	w.line("-A KUBE-SERVICES %s-j KUBE-NODEPORTS", toNode)
}

// remove deletes chains that no other leads to.
func (w *writer) remove(chains []string) {
	w.empty(chains...) // so that none of them leads to another
	for _, chain := range chains {
		w.line("-X %s", chain)
	}
}
