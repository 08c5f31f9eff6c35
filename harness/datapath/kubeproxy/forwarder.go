package kubeproxy

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sync/errgroup"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/topo"
)

// Proxy is kube-proxy at work: the rules of one node in one family.
type Proxy interface {
	// Serve makes the node serve exactly these. No packet sees a service half
	// written.
	Serve(ctx context.Context, services []Service) error

	// Drops counts the packets refused so far.
	Drops(ctx context.Context) (map[Reason]uint64, error)

	Close() error
}

// Up starts a proxy for each node and family of a network, and has them serve
// nothing yet.
func Up(ctx context.Context, network *topo.Network, start func(*topo.Machine, Node) (Proxy, error)) (harness.Forwarder, error) {
	f := &forwarder{}
	topology := network.Topology()
	for _, node := range topology.Nodes {
		machine, _ := network.Machine(node.Name)
		for _, family := range []topo.Family{topo.IPv4, topo.IPv6} {
			at := On(topology, node.Name, family)
			if err := at.leaveWayOut(topology, machine); err != nil {
				return nil, errors.Join(err, f.Close())
			}
			proxy, err := start(machine, at)
			if err != nil {
				return nil, errors.Join(fmt.Errorf("%s: %w", node.Name, err), f.Close())
			}
			f.sites = append(f.sites, site{at, machine, proxy})
		}
	}
	if err := f.Serve(ctx, nil); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// leaveWayOut gives a node that has no default route one out of its NIC. Packets to a
// service that find no endpoint are refused while they are forwarded, which without
// a route they are not: nobody has a service's address.
func (n Node) leaveWayOut(t topo.Topology, machine *topo.Machine) error {
	everywhere := netip.PrefixFrom(n.of(netip.IPv4Unspecified(), netip.IPv6Unspecified()), 0)
	for _, r := range t.Routes {
		if r.Machine == n.Name && r.Prefix == everywhere {
			return nil
		}
	}
	return machine.RouteOnLink(everywhere)
}

// forwarder is a datapath in place.
type forwarder struct{ sites []site }

// site is where a proxy works.
type site struct {
	Node
	machine *topo.Machine
	proxy   Proxy
}

func (f *forwarder) Serve(ctx context.Context, services []harness.Service) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for _, s := range f.sites {
		group.Go(func() error {
			if err := s.serve(ctx, services); err != nil {
				return fmt.Errorf("write the %s rules of %s: %w", s.Family, s.Name, err)
			}
			return nil
		})
	}
	return group.Wait()
}

func (s site) serve(ctx context.Context, services []harness.Service) error {
	if err := s.proxy.Serve(ctx, s.Services(services)); err != nil {
		return err
	}
	if stale := s.Stale(services); stale != nil {
		return s.machine.DeleteFlows(s.Family, stale)
	}
	return nil
}

// Forget empties the conntrack of the nodes' kernels.
func (f *forwarder) Forget(context.Context) error {
	for _, s := range f.sites {
		if err := s.machine.ForgetFlows(); err != nil { // those of both families
			return err
		}
	}
	return nil
}

func (f *forwarder) Drops() (map[string]map[string]uint64, error) {
	drops := map[string]map[string]uint64{}
	for _, s := range f.sites {
		refused, err := s.proxy.Drops(context.Background())
		if err != nil {
			return nil, fmt.Errorf("count what %s refused: %w", s.Name, err)
		}
		if drops[s.Name] == nil {
			drops[s.Name] = map[string]uint64{}
		}
		for reason, packets := range refused {
			drops[s.Name][string(reason)] += packets
		}
	}
	return drops, nil
}

// Sync has nothing to wait for: netfilter's own hops are the lab's to watch.
func (f *forwarder) Sync(context.Context) error { return nil }

// Phases tells nothing: there is only one.
func (f *forwarder) Phases() []topo.Phase { return nil }

func (f *forwarder) Close() error {
	var errs []error
	for _, s := range f.sites {
		errs = append(errs, s.proxy.Close())
	}
	return errors.Join(errs...)
}
