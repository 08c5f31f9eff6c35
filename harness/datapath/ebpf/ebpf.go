// Package ebpf is skbench's own datapath: the programs of package bpf, loaded
// once for each node, attached, and their maps filled from the cluster's state.
package ebpf

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/feature"
	"github.com/skbench/skbench/topo"
)

// Datapath describes the eBPF datapath: XDP on every node's NIC, TC on the NIC
// and on the pods' devices, programs at the sockets of nodes and pods.
func Datapath(opts ...Option) harness.Datapath {
	d := &datapath{name: "ebpf", trace: true, snatPorts: bpf.DefaultSNATPorts, sizes: labSizes}
	for _, opt := range opts {
		opt(d)
	}
	return d
}

type datapath struct {
	name           string
	withoutXDP     bool
	xdpMode        topo.XDPMode
	tcMode         topo.TCMode
	withoutHelpers bool
	withoutSockets bool
	redirected     bool
	onWire         []string
	maglev         int
	dsr            bool
	trace          bool
	sizes          bpf.MapSizes
	snatPorts      bpf.PortRange
	delay          uint16
}

// Option changes the datapath, and its name where the change is one that users see.
type Option func(*datapath)

// WithoutXDP leaves node ports to TC, as on NICs that have no XDP.
func WithoutXDP() Option {
	return func(d *datapath) { d.name += "-tc"; d.withoutXDP = true }
}

// GenericXDP runs XDP in the stack rather than in the driver.
func GenericXDP() Option {
	return func(d *datapath) { d.name += "-generic"; d.xdpMode = topo.XDPGeneric }
}

// WithClsact attaches TC programs as filters, as kernels before 6.6 do.
func WithClsact() Option {
	return func(d *datapath) { d.name += "-clsact"; d.tcMode = topo.TCClsact }
}

// WithoutRedirectHelpers does without bpf_redirect_peer and bpf_redirect_neigh,
// as kernels before 5.10 must.
func WithoutRedirectHelpers() Option {
	return func(d *datapath) { d.name += "-redirect"; d.withoutHelpers = true }
}

// WithoutSockets balances services packet by packet alone, as for pods whose sockets
// no program sees. Otherwise the sockets of nodes and pods connect and send to
// backends from the start, where the machine has control groups for it.
func WithoutSockets() Option {
	return func(d *datapath) { d.name += "-packets"; d.withoutSockets = true }
}

// WithMaglev has flows choose their backends by Maglev tables of so many entries, a prime from bpf.MinMaglev to
// bpf.MaxMaglev, better 100 times the backends or more: the same on every node, and little changes when a backend comes or
// goes. Without it flows spread at random.
func WithMaglev(entries int) Option {
	return func(d *datapath) { d.name += "-maglev"; d.maglev = entries }
}

// WithSNATPorts reserves other ports on every node for source translation than
// bpf.DefaultSNATPorts.
func WithSNATPorts(ports bpf.PortRange) Option { return func(d *datapath) { d.snatPorts = ports } }

// WithoutTrace reports no hops: the programs do what production would. Counters
// run all the same.
func WithoutTrace() Option { return func(d *datapath) { d.trace = false } }

// WithDelay slows the programs of the nodes' NICs down, by so many turns of an empty
// loop for each packet, to prove that a benchmark would find a slower datapath.
func WithDelay(turns uint16) Option { return func(d *datapath) { d.delay = turns } }

// WithMapSizes gives each node maps of that size: [bpf.MapSizes] without a field
// set are those of production.
func WithMapSizes(sizes bpf.MapSizes) Option { return func(d *datapath) { d.sizes = sizes } }

func (d *datapath) Name() string { return d.name }

func (d *datapath) Needs() []*feature.Feature {
	needs := []*feature.Feature{feature.EBPFDatapath}
	if d.redirected {
		needs = append(needs, feature.EBPFSessions)
	}
	return needs
}

func (*datapath) LeavesQuotedChecksums() bool { return false }

// Up loads and attaches the programs of all nodes.
func (d *datapath) Up(ctx context.Context, network *topo.Network, observe func(harness.Hop)) (harness.Forwarder, error) {
	f := &forwarder{redirected: d.redirected}
	if err := d.up(ctx, f, network, observe); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (d *datapath) up(ctx context.Context, f *forwarder, network *topo.Network, observe func(harness.Hop)) (err error) {
	if err := d.checkOnWire(network.Topology().Pods); err != nil {
		return err
	}
	if f.events, err = NewEvents(network, observe); err != nil {
		return err
	}
	for _, described := range network.Topology().Nodes {
		machine, _ := network.Machine(described.Name)
		n := &node{
			Node: described, machine: machine, clients: []*topo.Machine{machine},
			maglev: d.maglev, dsr: d.dsr, mtu: network.Topology().MTU, encryption: network.Topology().Encryption, expected: map[place]bpf.Direct{},
		}
		for _, pod := range network.Topology().Pods {
			if pod.Node == n.Name {
				client, _ := network.Machine(pod.Name)
				n.clients = append(n.clients, client)
			}
		}
		f.nodes = append(f.nodes, n)
	}
	for _, phase := range []struct {
		name string
		run  func(*node) error
	}{
		{"programs", func(n *node) error { return n.load(d, f.events.Ring) }},
		{"maps", func(n *node) error { return n.learn(d, network.Topology()) }},
		{"attachments", func(n *node) error { return n.attach(d, network.Topology()) }},
	} {
		start := time.Now()
		if err := f.each(ctx, phase.run); err != nil {
			return err
		}
		f.phases = append(f.phases, topo.Phase{Name: phase.name, Duration: time.Since(start)})
	}
	f.expiry = expireFlows(f.nodes)
	return nil
}

// forwarder is the datapath in place.
type forwarder struct {
	events *Events
	nodes  []*node
	expiry *expiry
	phases []topo.Phase

	redirected bool // sessions, from socket to socket

	services []harness.Service // served now
}

// each does something for every node, some side by side.
func (f *forwarder) each(ctx context.Context, do func(*node) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for _, n := range f.nodes {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := do(n); err != nil {
				return fmt.Errorf("%s: %w", n.Name, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// Serve changes the nodes, each at its own pace; when one cannot, the others change back. Backends are known to their nodes
// before any other sends to them, and for as long.
func (f *forwarder) Serve(ctx context.Context, services []harness.Service) error {
	if err := f.each(ctx, func(n *node) error { return n.expect(services) }); err != nil {
		return err
	}
	if err := f.serve(ctx, services); err != nil {
		return err
	}
	f.services = services
	return f.each(ctx, func(n *node) error { return n.expectOnly(services) })
}

func (f *forwarder) serve(ctx context.Context, services []harness.Service) error {
	err := f.each(ctx, func(n *node) error { return n.serve(services) })
	if err == nil {
		return nil
	}
	// Nodes that did not change have nothing to do.
	return errors.Join(err, f.each(context.WithoutCancel(ctx), func(n *node) error { return n.serve(f.services) }))
}

func (f *forwarder) Forget(ctx context.Context) error {
	return f.each(ctx, func(n *node) error { return n.programs.DeleteFlows() })
}

func (f *forwarder) Drops() (map[string]map[string]uint64, error) {
	return perNode(f, (*bpf.Node).Drops)
}

func (f *forwarder) Lost() (map[string]uint64, error) { return perNode(f, (*bpf.Node).LostEvents) }

// perNode is what each node has counted, in a map of the caller's own.
func perNode[C any](f *forwarder, of func(*bpf.Node) (C, error)) (map[string]C, error) {
	counts := map[string]C{}
	for _, n := range f.nodes {
		var err error
		if counts[n.Name], err = of(n.programs); err != nil {
			return nil, fmt.Errorf("%s: %w", n.Name, err)
		}
	}
	return counts, nil
}

func (f *forwarder) Phases() []topo.Phase { return f.phases }

func (f *forwarder) Sync(ctx context.Context) error { return f.events.Sync(ctx) }

func (f *forwarder) Close() error {
	var errs []error
	if f.expiry != nil {
		errs = append(errs, f.expiry.close())
	}
	for _, n := range f.nodes {
		errs = append(errs, n.close())
	}
	if f.events != nil {
		errs = append(errs, f.events.Close())
	}
	return errors.Join(errs...)
}
