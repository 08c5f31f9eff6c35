package nftables

import (
	nft "github.com/google/nftables"

	"github.com/skbench/skbench/harness/datapath/kubeproxy"
)

// tableName is what kube-proxy calls its table.
const tableName = "kube-proxy"

// Chains that never change.
const (
	endpointsCheck    = "endpoints-check"
	firewallCheck     = "firewall-check"
	services          = "services"
	markForMasquerade = "mark-for-masquerade"
	masquerading      = "masquerading"
	podsToWorld       = "pods-to-world"
)

// Sets of addresses that never change: the node's own, and those of all nodes.
const (
	nodePortIPs = "nodeport-ips"
	nodeIPs     = "node-ips"
)

// base is a chain that the kernel itself leads to.
type base struct {
	name     string
	kind     nft.ChainType
	hook     *nft.ChainHook
	priority nft.ChainPriority
	rules    []statement
}

const beforeTranslation = -110 // of destinations, which is at -100

// bases are those of kube-proxy, with one that it leaves to the network plugin:
// pods that speak to the world are masqueraded. Who may use a balancer's address is
// asked before it is translated; what got no endpoint is refused after.
func bases() []base {
	fresh := tracked("new")
	return []base{
		{"filter-prerouting", nft.ChainTypeFilter, nft.ChainHookPrerouting, beforeTranslation, []statement{rule(fresh, jump(firewallCheck))}},
		{"filter-input", nft.ChainTypeFilter, nft.ChainHookInput, 0, []statement{rule(fresh, jump(endpointsCheck))}},
		{"filter-forward", nft.ChainTypeFilter, nft.ChainHookForward, 0, []statement{
			rule(tracked("invalid"), goTo(refusalChain(kubeproxy.Invalid))),
			rule(fresh, jump(endpointsCheck)),
		}},
		{"filter-output", nft.ChainTypeFilter, nft.ChainHookOutput, beforeTranslation, []statement{rule(fresh, jump(firewallCheck))}},
		{"filter-output-post-dnat", nft.ChainTypeFilter, nft.ChainHookOutput, 0, []statement{rule(fresh, jump(endpointsCheck))}},
		{"nat-prerouting", nft.ChainTypeNAT, nft.ChainHookPrerouting, *nft.ChainPriorityNATDest, []statement{jump(services)}},
		{"nat-output", nft.ChainTypeNAT, nft.ChainHookOutput, *nft.ChainPriorityNATDest, []statement{jump(services)}},
		{"nat-postrouting", nft.ChainTypeNAT, nft.ChainHookPostrouting, *nft.ChainPriorityNATSource, []statement{jump(masquerading), jump(podsToWorld)}},
	}
}

// fixed are the rules of the other chains that never change.
func fixed(n kubeproxy.Node) map[string][]statement {
	f := n.Family
	toNode := daddr.inSet(f, nodePortIPs)
	chains := map[string][]statement{
		services: {
			rule(byAddress(f, serviceIPs)),
			rule(toNode, byPort(serviceNodePorts)),
			rule(toNode, byPort(hostPorts)),
		},
		endpointsCheck: {
			rule(byAddress(f, noEndpointServices)),
			rule(toNode, byPort(noEndpointNodePorts)),
		},
		firewallCheck:     {rule(byAddress(f, firewallIPs))},
		markForMasquerade: {setMark},
		masquerading:      {rule(unmarked, giveBack), clearMark, masquerade},
		podsToWorld: {
			rule(daddr.inSet(f, nodeIPs), giveBack),
			rule(saddr.in(n.Pods), daddr.notIn(n.Pods), masquerade),
		},
	}
	for _, reason := range kubeproxy.Reasons {
		refuse := drop
		if reason == kubeproxy.NoBackend {
			refuse = reject(f)
		}
		chains[refusalChain(reason)] = []statement{rule(count(reason), refuse)}
	}
	return chains
}
