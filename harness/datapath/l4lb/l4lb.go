// Package l4lb is a layer 4 balancer before real servers, for topologies as topo.Balancers makes them.
//
// A router spreads flows to service addresses over several balancers, which are nodes. On each of them the programs of package
// bpf choose a server by a Maglev table, the same on all, and send packets there encapsulated, from XDP. On a server, a host
// that a service names as its backend, the same programs take the outer header off; its stack has the service's address for
// its own (on lo) and answers the client, past balancers and router.
//
// So no balancer needs to know what another one knows: a flow that the router takes from one and gives to another keeps its
// server.
package l4lb

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/ebpf"
	"github.com/skbench/skbench/harness/feature"
	"github.com/skbench/skbench/topo"
)

// tableSize is that of the Maglev tables: good for some 160 servers of a service.
const tableSize = 16381

// Datapath describes the balancer. It serves the LoadBalancerIPs of services whose backends are hosts.
func Datapath() harness.Datapath {
	return datapath{ebpf.Datapath(ebpf.WithDSR(), ebpf.WithMaglev(tableSize), ebpf.WithoutSockets())}
}

type datapath struct{ balancers harness.Datapath }

func (d datapath) Name() string { return "l4lb" }

func (d datapath) Needs() []*feature.Feature { return d.balancers.Needs() }

func (datapath) LeavesQuotedChecksums() bool { return false }

// Up loads and attaches the balancers' programs. Those of a server come with the first service that names it.
func (d datapath) Up(ctx context.Context, network *topo.Network, observe func(harness.Hop)) (harness.Forwarder, error) {
	balancers, err := d.balancers.Up(ctx, network, observe)
	if err != nil {
		return nil, err
	}
	events, err := ebpf.NewEvents(network, observe)
	if err != nil {
		return nil, errors.Join(err, balancers.Close())
	}
	return &forwarder{Forwarder: balancers, network: network, events: events, servers: map[string]*server{}}, nil
}

// forwarder is the balancers', with the servers.
type forwarder struct {
	harness.Forwarder
	network *topo.Network
	events  *ebpf.Events // of the servers
	servers map[string]*server
}

// Serve has a server know a service before a balancer sends to it, and forget it after.
func (f *forwarder) Serve(ctx context.Context, services []harness.Service) error {
	wanted, err := addressesOf(services)
	if err != nil {
		return err
	}
	for name, addresses := range wanted {
		s, err := f.server(name)
		if err == nil {
			err = s.add(addresses)
		}
		if err != nil {
			return fmt.Errorf("server %s: %w", name, err)
		}
	}
	if err := f.Forwarder.Serve(ctx, balanced(services)); err != nil {
		return err
	}
	for name, s := range f.servers {
		if err := s.keep(wanted[name]); err != nil {
			return fmt.Errorf("server %s: %w", name, err)
		}
	}
	return nil
}

// balanced are the services without their cluster addresses: there is no cluster.
func balanced(services []harness.Service) []harness.Service {
	services = slices.Clone(services)
	for i := range services {
		services[i].ClusterIPv4, services[i].ClusterIPv6 = netip.Addr{}, netip.Addr{}
	}
	return services
}

// server is the server of that name, made when it is first asked for.
func (f *forwarder) server(name string) (*server, error) {
	if s := f.servers[name]; s != nil {
		return s, nil
	}
	s, err := newServer(f.network, name, f.events.Ring)
	if err != nil {
		return nil, err
	}
	f.servers[name] = s
	return s, nil
}

func (f *forwarder) Drops() (map[string]map[string]uint64, error) {
	return withServers(f, f.Forwarder.Drops, (*bpf.Node).Drops)
}

func (f *forwarder) Lost() (map[string]uint64, error) {
	return withServers(f, f.Forwarder.Lost, (*bpf.Node).LostEvents)
}

// withServers is what the balancers have counted, and what each server has.
func withServers[C any](f *forwarder, balancers func() (map[string]C, error), of func(*bpf.Node) (C, error)) (map[string]C, error) {
	counts, err := balancers()
	if err != nil {
		return nil, err
	}
	for name, s := range f.servers {
		if counts[name], err = of(s.programs); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return counts, nil
}

func (f *forwarder) Sync(ctx context.Context) error {
	return errors.Join(f.Forwarder.Sync(ctx), f.events.Sync(ctx))
}

func (f *forwarder) Close() error {
	var errs []error
	for _, s := range f.servers {
		errs = append(errs, s.close())
	}
	return errors.Join(append(errs, f.events.Close(), f.Forwarder.Close())...)
}
