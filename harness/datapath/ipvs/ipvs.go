// Package ipvs is kube-proxy's IPVS mode as a datapath: the kernel routes, its layer
// 4 balancer picks endpoints, and netfilter masquerades and refuses.
package ipvs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/moby/ipvs"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/iptables"
	"github.com/skbench/skbench/harness/datapath/kubeproxy"
	"github.com/skbench/skbench/harness/feature"
	"github.com/skbench/skbench/topo"
)

// Datapath describes the IPVS datapath.
func Datapath() harness.Datapath { return datapath{} }

type datapath struct{}

func (datapath) Name() string { return "ipvs" }

func (datapath) Needs() []*feature.Feature { return []*feature.Feature{feature.IPVSDatapath} }

// LeavesQuotedChecksums: IPVS writes the addresses and ports of a quote, and the
// checksum of its IPv4 header.
func (datapath) LeavesQuotedChecksums() bool { return true }

func (datapath) Up(ctx context.Context, network *topo.Network, _ func(harness.Hop)) (harness.Forwarder, error) {
	return kubeproxy.Up(ctx, network, func(ctx context.Context, m *topo.Machine, n kubeproxy.Node) (kubeproxy.Proxy, error) {
		p, err := newProxy(ctx, m, n)
		if err != nil {
			return nil, err
		}
		return p, nil
	})
}

type proxy struct {
	machine *topo.Machine
	node    kubeproxy.Node
	kernel  *ipvs.Handle
	marks   map[string]uint32 // by service
	taken   map[netip.Addr]bool
	leaving map[leaver]bool
}

// leaver is an endpoint of a virtual service that gets no new flows, and stays for
// those that it has.
type leaver struct {
	frontend
	endpoint netip.AddrPort
}

// sysctls are kube-proxy's: what is balanced is tracked too, to be masqueraded; and
// an endpoint that is gone, or gets no new flows, is not asked again.
var sysctls = []string{"conntrack", "expire_nodest_conn", "expire_quiescent_template"}

func newProxy(ctx context.Context, m *topo.Machine, n kubeproxy.Node) (*proxy, error) {
	p := &proxy{machine: m, node: n, marks: map[string]uint32{}, taken: map[netip.Addr]bool{}, leaving: map[leaver]bool{}}
	err := m.Do(func() (err error) {
		p.kernel, err = ipvs.New("") // in the namespace of the calling thread
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open IPVS's socket: %w", err)
	}
	for _, key := range sysctls {
		if err := m.Sysctl("net.ipv4.vs."+key, "1"); err != nil {
			return nil, errors.Join(err, p.Close())
		}
	}
	if err := m.RestoreIptables(ctx, n.Family, setUp(n)); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// Serve first makes virtual services and endpoints, then lets packets to them, and
// last takes away what is not served any more.
func (p *proxy) Serve(ctx context.Context, c kubeproxy.Change) error {
	before := p.virtuals(slices.Concat(c.Old, c.Went))
	now := map[frontend]bool{}
	for _, s := range slices.Concat(c.Changed, c.Came) {
		for _, v := range virtuals(p.node, s, p.mark) {
			now[v.frontend] = true
			if err := p.put(v, before[v.frontend], uint32(iptables.Seconds(s.Affinity))); err != nil {
				return fmt.Errorf("balance %s: %w", v.frontend, err)
			}
		}
	}
	if err := p.machine.RestoreIptables(ctx, p.node.Family, rules(p.node, c.All, p.mark)); err != nil {
		return err
	}
	if err := p.take(addresses(c.All)); err != nil {
		return err
	}
	for f := range before {
		if now[f] {
			continue
		}
		if err := p.kernel.DelService(service(f, 0)); err != nil {
			return fmt.Errorf("balance %s no longer: %w", f, err)
		}
		maps.DeleteFunc(p.leaving, func(l leaver, _ bool) bool { return l.frontend == f })
	}
	for _, s := range c.Went {
		delete(p.marks, s.Name)
	}
	return p.sweep()
}

// virtuals are those of some services, by their frontends.
func (p *proxy) virtuals(services []kubeproxy.Service) map[frontend]virtual {
	all := map[frontend]virtual{}
	for _, s := range services {
		for _, v := range virtuals(p.node, s, p.mark) {
			all[v.frontend] = v
		}
	}
	return all
}

// mark is a service's own, the lowest that is free.
func (p *proxy) mark(service string) uint32 {
	if mark, ok := p.marks[service]; ok {
		return mark
	}
	taken := map[uint32]bool{}
	for _, mark := range p.marks {
		taken[mark] = true
	}
	mark := uint32(1) << markShift
	for taken[mark] {
		mark += 1 << markShift
	}
	p.marks[service] = mark
	return mark
}

// take makes exactly these addresses the node's own, beside those that it has.
func (p *proxy) take(wanted map[netip.Addr]bool) error {
	for addr := range wanted {
		if p.taken[addr] {
			continue
		}
		if err := p.machine.AddressAdd(addr); err != nil {
			return err
		}
	}
	for addr := range p.taken {
		if wanted[addr] {
			continue
		}
		if err := p.machine.AddressDelete(addr); err != nil {
			return err
		}
	}
	p.taken = wanted
	return nil
}

func (p *proxy) Drops(ctx context.Context) (map[kubeproxy.Reason]uint64, error) {
	return iptables.Drops(ctx, p.machine, p.node.Family)
}

// Close lets go of the socket. What it wrote goes with the node.
func (p *proxy) Close() error {
	p.kernel.Close()
	return nil
}
