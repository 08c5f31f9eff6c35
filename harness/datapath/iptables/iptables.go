// Package iptables is kube-proxy's iptables mode as a datapath: the kernel
// routes, and netfilter balances and masquerades. It is the baseline that eBPF
// datapaths are compared with.
package iptables

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/topo"
)

// Datapath describes the iptables datapath.
func Datapath() harness.Datapath { return datapath{} }

type datapath struct{}

func (datapath) Name() string { return "iptables" }

func (datapath) Up(ctx context.Context, network *topo.Network, _ func(harness.Hop)) (harness.Forwarder, error) {
	f := &forwarder{topology: network.Topology()}
	for _, node := range f.topology.Nodes {
		machine, _ := network.Machine(node.Name)
		f.nodes = append(f.nodes, machine)
	}
	if err := f.Serve(ctx, nil); err != nil {
		return nil, err
	}
	return f, nil
}

type forwarder struct {
	topology topo.Topology
	nodes    []*topo.Machine
	services []harness.Service // served now; nil before the first time
}

// Serve writes all of kube-proxy's chains anew with one iptables-restore a family,
// which changes each table in one step.
func (f *forwarder) Serve(ctx context.Context, services []harness.Service) error {
	var group errgroup.Group
	group.SetLimit(4)
	for _, node := range f.nodes {
		group.Go(func() error {
			if err := node.RestoreIptables(ctx, topo.IPv4, rules(f.topology, services, f.services, ipv4)); err != nil {
				return fmt.Errorf("write the rules of %s: %w", node.Name(), err)
			}
			if err := node.RestoreIptables(ctx, topo.IPv6, rules(f.topology, services, f.services, ipv6)); err != nil {
				return fmt.Errorf("write the rules of %s: %w", node.Name(), err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	f.services = append([]harness.Service{}, services...)
	return nil
}

// Drops are not told apart by netfilter.
func (f *forwarder) Drops() (map[string]map[string]uint64, error) { return nil, nil }

// Sync has nothing to wait for: netfilter's own hops are the lab's to watch.
func (f *forwarder) Sync(context.Context) error { return nil }

// Phases tells nothing: there is only one.
func (f *forwarder) Phases() []topo.Phase { return nil }

// Close has nothing to take away: the rules go with the nodes.
func (f *forwarder) Close() error { return nil }
