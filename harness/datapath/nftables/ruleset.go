package nftables

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/kubeproxy"
)

// ruleset is what a node's table holds in one family beyond what never changes:
// the chains of services and endpoints, and the maps that lead to them.
type ruleset struct {
	chains   map[string][]statement
	maps     map[string]map[key]string // by name: what leads to which chain
	affinity map[string]time.Duration  // sets of clients, and how long each is remembered there
}

func newRuleset() ruleset {
	return ruleset{chains: map[string][]statement{}, maps: map[string]map[key]string{}, affinity: map[string]time.Duration{}}
}

// key is what a map is asked for.
type key struct {
	addr     netip.Addr // not valid in the maps of ports
	protocol string
	port     uint16
}

// String is the key as nft(8) spells it.
func (k key) String() string {
	text := fmt.Sprintf("%s . %d", k.protocol, k.port)
	if k.addr.IsValid() {
		return k.addr.String() + " . " + text
	}
	return text
}

// bytes are the key as the kernel compares it: each part fills up registers of four
// bytes.
func (k key) bytes() []byte {
	var b []byte
	if k.addr.IsValid() {
		b = k.addr.AsSlice()
	}
	b = append(b, protocols[k.protocol], 0, 0, 0)
	return append(b, byte(k.port>>8), byte(k.port), 0, 0)
}

// The maps, named as kube-proxy does. Whatever a packet's destination, it takes two
// look-ups to find its service, however many there are.
const (
	serviceIPs          = "service-ips"
	serviceNodePorts    = "service-nodeports"
	noEndpointServices  = "no-endpoint-services"
	noEndpointNodePorts = "no-endpoint-nodeports"
	firewallIPs         = "firewall-ips"
	hostPorts           = "hostports"
)

var (
	mapsOfAddresses = []string{serviceIPs, noEndpointServices, firewallIPs}
	mapsOfPorts     = []string{serviceNodePorts, noEndpointNodePorts, hostPorts}
)

// rules says what a node's table must hold for these services, as kube-proxy does in
// its nftables mode (pkg/proxy/nftables/proxier.go).
func rules(n kubeproxy.Node, services []kubeproxy.Service) ruleset {
	r := newRuleset()
	for _, name := range slices.Concat(mapsOfAddresses, mapsOfPorts) {
		r.maps[name] = map[key]string{}
	}
	for _, s := range services {
		r.portals(s)
		r.service(n, s)
	}
	return r
}

// portals lead from a service's addresses to its chains.
func (r ruleset) portals(s kubeproxy.Service) {
	for _, f := range s.Frontends {
		at := key{f.Addr, s.Protocol, f.Port}
		services, refusals := r.maps[serviceIPs], r.maps[noEndpointServices]
		if !f.Addr.IsValid() {
			services, refusals = r.maps[serviceNodePorts], r.maps[noEndpointNodePorts]
		}
		switch {
		case f.Served && f.External:
			services[at] = chainOf("external", s)
		case f.Served:
			services[at] = policyChain(s, f.Policy)
		}
		if f.Refused != "" {
			refusals[at] = refusalChain(f.Refused)
		}
		if f.Guarded && f.Served {
			r.maps[firewallIPs][at] = chainOf("firewall", s)
		}
	}
	for _, h := range s.HostPorts {
		r.maps[hostPorts][key{protocol: s.Protocol, port: h.Port}] = hostPortChain(s, h)
	}
}

// service writes the chains of a service: from its frontends by way of the policy
// to an endpoint.
func (r ruleset) service(n kubeproxy.Node, s kubeproxy.Service) {
	if s.Guarded() {
		chain := chainOf("firewall", s)
		for _, source := range s.Sources {
			r.add(chain, saddr.in(source), giveBack)
		}
		r.add(chain, goTo(refusalChain(kubeproxy.NotInRange)))
	}
	if s.ServedOutside() {
		r.outside(n, s)
	}
	if inside, served := s.Inside(); served {
		// The reply to what is no pod must come back through this node.
		r.add(policyChain(s, inside.Policy), daddr.is(inside.Addr), toPort(s.Protocol, inside.Port), saddr.notIn(n.Pods), jump(markForMasquerade))
	}
	for _, policy := range []harness.TrafficPolicy{harness.Cluster, harness.Local} {
		r.choice(n, s, policyChain(s, policy), s.Endpoints(policy))
	}
	for _, e := range s.Reachable() {
		chain := endpointChain(s, e)
		// An endpoint that reaches itself must see the reply come from elsewhere.
		r.add(chain, saddr.is(e.Addr()), jump(markForMasquerade))
		if s.Affinity > 0 {
			r.affinity[affinitySet(s, e)] = s.Affinity
			r.add(chain, remember(n.Family, affinitySet(s, e)))
		}
		r.add(chain, isProtocol(s.Protocol), translateTo(e))
	}
	for _, h := range s.HostPorts {
		chain := hostPortChain(s, h)
		r.add(chain, saddr.is(h.Endpoint.Addr()), jump(markForMasquerade))
		r.add(chain, isProtocol(s.Protocol), translateTo(h.Endpoint))
	}
}

// outside writes the chain for packets to the addresses that the world uses.
func (r ruleset) outside(n kubeproxy.Node, s kubeproxy.Service) {
	chain, all := chainOf("external", s), policyChain(s, harness.Cluster)
	if !s.LocalOutside() {
		r.add(chain, jump(markForMasquerade)) // the reply must come back through this node
		r.add(chain, goTo(all))
		return
	}
	r.add(chain, saddr.in(n.Pods), goTo(all))
	r.add(chain, saddr.isLocal(), jump(markForMasquerade))
	r.add(chain, saddr.isLocal(), goTo(all))
	if len(s.Local) > 0 {
		r.add(chain, goTo(policyChain(s, harness.Local)))
	}
}

// choice writes the chain that picks one of some endpoints: the client's last while
// affinity holds, else any.
func (r ruleset) choice(n kubeproxy.Node, s kubeproxy.Service, chain string, endpoints []netip.AddrPort) {
	var chains []string
	for _, e := range endpoints {
		chains = append(chains, endpointChain(s, e))
		if s.Affinity > 0 {
			r.add(chain, saddr.inSet(n.Family, affinitySet(s, e)), goTo(endpointChain(s, e)))
		}
	}
	switch len(chains) {
	case 0:
	case 1: // kube-proxy has a map then too, and the kernel looks at all there are to name one
		r.add(chain, goTo(chains[0]))
	default:
		r.add(chain, pick(chains))
	}
}

// add adds a rule to a chain.
func (r ruleset) add(chain string, parts ...statement) {
	r.chains[chain] = append(r.chains[chain], rule(parts...))
}

func policyChain(s kubeproxy.Service, p harness.TrafficPolicy) string {
	if p == harness.Local {
		return chainOf("local", s)
	}
	return chainOf("service", s)
}

func chainOf(kind string, s kubeproxy.Service) string {
	return name(kind, s.Name, s.Protocol)
}

func endpointChain(s kubeproxy.Service, e netip.AddrPort) string {
	return name("endpoint", s.Name, s.Protocol, e)
}

// affinitySet has the time in its name, since a set's cannot be changed.
func affinitySet(s kubeproxy.Service, e netip.AddrPort) string {
	return name("affinity", s.Name, s.Protocol, e, s.Affinity)
}

func hostPortChain(s kubeproxy.Service, h kubeproxy.HostPort) string {
	return name("hostport", s.Name, s.Protocol, h.Port, h.Endpoint)
}

func refusalChain(reason kubeproxy.Reason) string {
	return "refuse-" + strings.ToLower(string(reason))
}

// name makes a name that the kernel takes, and that of different things differs: a
// hash, and the words where they are readable.
func name(kind string, of ...any) string {
	words := strings.TrimSpace(fmt.Sprintln(of...))
	sum := sha256.Sum256([]byte(words))
	readable := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '-':
			return c
		case c == ' ':
			return '/'
		}
		return '_'
	}, words)
	return fmt.Sprintf("%s-%s-%.80s", kind, base32.StdEncoding.EncodeToString(sum[:])[:8], readable)
}
