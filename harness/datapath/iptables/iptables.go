// Package iptables is kube-proxy's iptables mode as a datapath: the kernel
// routes, and netfilter balances and masquerades. It is the baseline that eBPF
// datapaths are compared with.
package iptables

import (
	"context"
	"strconv"
	"strings"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/kubeproxy"
	"github.com/skbench/skbench/harness/feature"
	"github.com/skbench/skbench/topo"
)

// Datapath describes the iptables datapath.
func Datapath() harness.Datapath { return datapath{} }

type datapath struct{}

func (datapath) Name() string { return "iptables" }

func (datapath) Needs() []*feature.Feature { return []*feature.Feature{feature.IPTablesDatapath} }

func (datapath) LeavesQuotedChecksums() bool { return false }

func (datapath) Up(ctx context.Context, network *topo.Network, _ func(harness.Hop)) (harness.Forwarder, error) {
	return kubeproxy.Up(ctx, network, func(ctx context.Context, m *topo.Machine, n kubeproxy.Node) (kubeproxy.Proxy, error) {
		return &proxy{machine: m, node: n}, m.RestoreIptables(ctx, n.Family, SetUp(n))
	})
}

type proxy struct {
	machine *topo.Machine
	node    kubeproxy.Node
}

// Serve writes what changed. All that a packet can see of it is in one
// iptables-restore, which changes each table in one step.
func (p *proxy) Serve(ctx context.Context, c kubeproxy.Change) error {
	for _, rules := range update(p.node, c) {
		if err := p.machine.RestoreIptables(ctx, p.node.Family, rules); err != nil {
			return err
		}
	}
	return nil
}

func (p *proxy) Drops(ctx context.Context) (map[kubeproxy.Reason]uint64, error) {
	return Drops(ctx, p.machine, p.node.Family)
}

// Drops reads the counters of the rules that refuse.
func Drops(ctx context.Context, m *topo.Machine, family topo.Family) (map[kubeproxy.Reason]uint64, error) {
	saved, err := m.SaveIptables(ctx, family, "filter")
	if err != nil {
		return nil, err
	}
	return refused(saved), nil
}

// refused reads how many packets each rule refused out of what iptables-save -c
// prints, with lines like
//
//	[7:420] -A SKBENCH-NO-BACKEND -j REJECT --reject-with icmp-port-unreachable
func refused(saved string) map[kubeproxy.Reason]uint64 {
	counters := map[string]string{} // by chain
	for line := range strings.Lines(saved) {
		if words := strings.Fields(line); len(words) > 2 && words[1] == "-A" {
			counters[words[2]], _, _ = strings.Cut(strings.TrimPrefix(words[0], "["), ":")
		}
	}
	packets := map[kubeproxy.Reason]uint64{}
	for reason, refusal := range refusals {
		packets[reason], _ = strconv.ParseUint(counters[refusal.chain], 10, 64)
	}
	return packets
}

// Close has nothing to take away: the rules go with the node.
func (p *proxy) Close() error { return nil }
