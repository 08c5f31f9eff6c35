package ipvs

import (
	"fmt"
	"strings"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/iptables"
	"github.com/skbench/skbench/harness/datapath/kubeproxy"
)

// marks are the bits of a packet's mark that name a service, for packets that do not
// follow the policy of the address that they are sent to. Those below are of
// kube-proxy and portmap.
const (
	markShift = 16
	marks     = uint32(0xffff) << markShift
)

// setUp writes the rules that never change, on top of those of the iptables mode.
// Packets to a service are the node's own, to netfilter: they come by INPUT, where
// IPVS takes them, and leave by OUTPUT.
func setUp(n kubeproxy.Node) string {
	w := &writer{node: n}
	w.line("*filter")
	w.line("-A INPUT -m conntrack --ctstate NEW -j KUBE-SERVICES")
	w.line("COMMIT")
	w.line("*mangle")
	w.line(":KUBE-SERVICES - [0:0]")
	w.line("-A PREROUTING -s %s -j KUBE-SERVICES", n.Pods)
	w.line("-A OUTPUT -j KUBE-SERVICES")
	w.line("COMMIT")
	w.line("*nat")
	// A pod that reaches itself must see the reply come from elsewhere; and what the node
	// sends to a service has got the service's address, which must not leave the node.
	for _, pod := range n.OwnPods {
		w.line("-A POSTROUTING -s %s -d %[1]s -j MASQUERADE --random-fully", pod)
	}
	w.line("-A POSTROUTING ! -s %s -d %s -m addrtype --src-type LOCAL -j MASQUERADE --random-fully", n.Addr, n.Pods)
	w.line("COMMIT")
	return iptables.SetUp(n) + w.String()
}

// rules are what goes with the virtual services: who is refused, who is masqueraded,
// who follows another policy. kube-proxy keeps in ipsets what is told apart here by
// whose the addresses are: rules are needed for few services only.
func rules(n kubeproxy.Node, services []kubeproxy.Service, mark func(service string) uint32) string {
	w := &writer{node: n}
	w.line("*filter")
	w.line(":KUBE-SERVICES - [0:0]")
	w.line(":KUBE-EXTERNAL-SERVICES - [0:0]")
	w.line(":KUBE-PROXY-FIREWALL - [0:0]")
	for _, s := range services {
		w.refuse(s)
	}
	w.line("COMMIT")

	w.line("*mangle")
	w.line(":KUBE-SERVICES - [0:0]")
	for _, s := range services {
		for _, f := range s.Frontends {
			if f.External && f.Policy == harness.Local {
				w.line("-A KUBE-SERVICES %s -j MARK --set-mark %#x", w.to(s, f), mark(s.Name))
			}
		}
	}
	w.line("COMMIT")

	w.line("*nat")
	w.line(":KUBE-SERVICES - [0:0]")
	w.line(":CNI-HOSTPORT-DNAT - [0:0]")
	for _, s := range services {
		w.masquerade(s)
	}
	// Other frontends: those on the node's own address, and the cluster addresses, which
	// pods reach as themselves.
	w.line("-A KUBE-SERVICES -d %s -j KUBE-MARK-MASQ", n.Addr)
	w.line("-A KUBE-SERVICES ! -s %s -m addrtype --dst-type LOCAL -j KUBE-MARK-MASQ", n.Pods)
	w.line("COMMIT")
	return w.String()
}

type writer struct {
	strings.Builder
	node kubeproxy.Node
}

func (w *writer) line(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }

// to matches what is addressed to a frontend.
func (w *writer) to(s kubeproxy.Service, f kubeproxy.Frontend) string {
	if !f.Addr.IsValid() {
		f.Addr = w.node.Addr
	}
	return iptables.To(s, f)
}

// refuse drops what IPVS must not balance.
func (w *writer) refuse(s kubeproxy.Service) {
	for _, f := range s.Frontends {
		switch {
		case f.Refused == kubeproxy.NoLocalBackend && f.External: // to those without a mark, see mangle
			w.line("-A KUBE-EXTERNAL-SERVICES %s -m mark --mark 0x0/%#x -j %s", w.to(s, f), marks, iptables.Refusal(f.Refused))
		case f.Refused != "":
			w.line("-A KUBE-SERVICES %s -j %s", w.to(s, f), iptables.Refusal(f.Refused))
		}
		if f.Guarded && f.Served {
			for _, source := range s.Sources {
				w.line("-A KUBE-PROXY-FIREWALL -s %s %s -j RETURN", source, w.to(s, f))
			}
			w.line("-A KUBE-PROXY-FIREWALL %s -j %s", w.to(s, f), iptables.Refusal(kubeproxy.NotInRange))
		}
	}
}

// masquerade marks what must come back through this node, as far as the last rules
// of the chain do not say it.
func (w *writer) masquerade(s kubeproxy.Service) {
	for _, f := range s.Frontends {
		switch {
		case f.External && f.Policy == harness.Local:
			w.line("-A KUBE-SERVICES %s -j RETURN", w.to(s, f))
		case f.External && f.Addr.IsValid():
			w.line("-A KUBE-SERVICES %s -j KUBE-MARK-MASQ", w.to(s, f))
		}
	}
	for _, h := range s.HostPorts {
		to := w.to(s, kubeproxy.Frontend{Port: h.Port})
		w.line("-A KUBE-SERVICES %s -j RETURN", to)
		w.line("-A CNI-HOSTPORT-DNAT -s %s %s -j CNI-HOSTPORT-SETMARK", h.Endpoint.Addr(), to)
		w.line("-A CNI-HOSTPORT-DNAT %s -j DNAT --to-destination %s", to, h.Endpoint)
	}
}
