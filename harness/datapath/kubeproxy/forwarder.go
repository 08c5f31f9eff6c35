package kubeproxy

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"

	"golang.org/x/sync/errgroup"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/topo"
)

// Proxy is kube-proxy at work: the rules of one node in one family.
type Proxy interface {
	// Serve makes the node serve what is changed as it is now. No packet sees a
	// service half written.
	Serve(ctx context.Context, c Change) error

	// Drops counts the packets refused so far.
	Drops(ctx context.Context) (map[Reason]uint64, error)

	Close() error
}

// Change is what a node is to serve, and what of it differs from before. Services are
// known by their names.
type Change struct {
	All     []Service // now
	Came    []Service
	Changed []Service // as they are now
	Old     []Service // those that changed, as they were
	Went    []Service
}

// Up starts a proxy for each node and family of a network. They serve nothing yet.
func Up(ctx context.Context, network *topo.Network, start func(context.Context, *topo.Machine, Node) (Proxy, error)) (harness.Forwarder, error) {
	f := &forwarder{}
	topology := network.Topology()
	for _, node := range topology.Nodes {
		machine, _ := network.Machine(node.Name)
		for _, family := range []topo.Family{topo.IPv4, topo.IPv6} {
			f.sites = append(f.sites, &site{Node: On(topology, node.Name, family), machine: machine})
		}
	}
	err := f.each(ctx, func(ctx context.Context, s *site) (err error) {
		if err := s.leaveWayOut(topology, s.machine); err != nil {
			return err
		}
		s.proxy, err = start(ctx, s.machine, s.Node)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// leaveWayOut gives a node that has no default route one out of its NIC. Packets to a
// service that find no endpoint are refused while they are forwarded, which without
// a route they are not: nobody has a service's address.
func (n Node) leaveWayOut(t topo.Topology, machine *topo.Machine) error {
	everywhere := netip.PrefixFrom(n.Any(), 0)
	for _, r := range t.Routes {
		if r.Machine == n.Name && r.Prefix == everywhere {
			return nil
		}
	}
	return machine.RouteOnLink(everywhere)
}

// forwarder is a datapath in place.
type forwarder struct{ sites []*site }

// site is where a proxy works.
type site struct {
	Node
	machine *topo.Machine
	proxy   Proxy // nil until it has started
	served  []Service
}

// each does something at every site, at some side by side.
func (f *forwarder) each(ctx context.Context, do func(context.Context, *site) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for _, s := range f.sites {
		group.Go(func() error {
			if err := do(ctx, s); err != nil {
				return fmt.Errorf("%s rules of %s: %w", s.Family, s.Name, err)
			}
			return nil
		})
	}
	return group.Wait()
}

func (f *forwarder) Serve(ctx context.Context, services []harness.Service) error {
	return f.each(ctx, func(ctx context.Context, s *site) error { return s.serve(ctx, services) })
}

func (s *site) serve(ctx context.Context, services []harness.Service) error {
	c := Diff(s.served, s.Services(services))
	if err := s.proxy.Serve(ctx, c); err != nil {
		return err
	}
	s.served = c.All
	if stale := s.Stale(c.All); stale != nil {
		return s.machine.DeleteFlows(s.Family, stale)
	}
	return nil
}

// Diff tells what differs between what was served and what is to be.
func Diff(before, now []Service) Change {
	c := Change{All: now}
	old := make(map[string]Service, len(before))
	for _, s := range before {
		old[s.Name] = s
	}
	stays := make(map[string]bool, len(now))
	for _, s := range now {
		stays[s.Name] = true
		switch was, ok := old[s.Name]; {
		case !ok:
			c.Came = append(c.Came, s)
		case !reflect.DeepEqual(was, s):
			c.Old, c.Changed = append(c.Old, was), append(c.Changed, s)
		}
	}
	for _, s := range before {
		if !stays[s.Name] {
			c.Went = append(c.Went, s)
		}
	}
	return c
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

func (f *forwarder) Lost() (map[string]uint64, error) { return nil, nil }

// Phases tells nothing: there is only one.
func (f *forwarder) Phases() []topo.Phase { return nil }

func (f *forwarder) Close() error {
	var errs []error
	for _, s := range f.sites {
		if s.proxy != nil {
			errs = append(errs, s.proxy.Close())
		}
	}
	return errors.Join(errs...)
}
