package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/ebpf"
	"github.com/skbench/skbench/harness/datapath/iptables"
	"github.com/skbench/skbench/topo"
)

// pair is two machines that talk over TCP, and a datapath between them. The floor has
// none: two namespaces on one veth pair, as a node and its pod are, or on one switch, as
// nodes are.
type pair struct {
	name           string
	params         map[string]string
	client, server *topo.Machine
	port           listener
	close          func() error
}

// pairs are what latency and throughput are measured between.
var pairs = []struct {
	datapath, path string
	topology       func() topo.Topology
	through        harness.Datapath // nil: nothing
	client, server string
}{
	{"empty", "same-node", cluster(1), nil, "node1", "web-on-node1"},
	{"ebpf", "same-node", cluster(1), hostRouting, "client-on-node1", "web-on-node1"},
	{"iptables", "same-node", cluster(1), iptables.Datapath(), "client-on-node1", "web-on-node1"},
	{"empty", "cross-node", twoHosts, nil, "client", "server"},
	{"ebpf", "cross-node", cluster(2), hostRouting, "client-on-node1", "web-on-node2"},
	{"iptables", "cross-node", cluster(2), iptables.Datapath(), "client-on-node1", "web-on-node2"},
}

// hostRouting is the ebpf datapath between pods: the programs at sockets have no part
// in it.
var hostRouting = ebpf.Datapath(ebpf.WithoutTrace(), ebpf.WithoutSockets(), ebpf.WithMapSizes(bpf.MapSizes{Flows: 1 << 16}))

func cluster(nodes int) func() topo.Topology {
	return func() topo.Topology { return topo.Cluster(nodes) }
}

func twoHosts() (t topo.Topology) {
	t.AddHost("client")
	t.AddHost("server")
	return t
}

// bringUpPairs readies all pairs. Those that are up are returned with an error too, to
// be closed.
func (r *run) bringUpPairs(ctx context.Context, benchmark string, offloads bool, serve func(conn int) error) ([]*pair, error) {
	var ups []func() (*pair, error)
	for _, d := range pairs {
		params := map[string]string{"datapath": d.datapath, "path": d.path, "mode": "inline", "family": "ipv4"}
		if d.through != nil {
			if reason := lacking(d.through); reason != "" {
				r.results.lacks(benchmark, params, reason)
				continue
			}
		}
		topology := d.topology()
		topology.Offloads = offloads
		ups = append(ups, func() (*pair, error) {
			p := &pair{name: d.datapath + " " + d.path, params: params}
			network, err := p.up(ctx, topology, d.through)
			if err != nil {
				return nil, fmt.Errorf("bench: %s: %w", p.name, err)
			}
			p.client, _ = network.Machine(d.client)
			p.server, _ = network.Machine(d.server)
			if p.port, err = listen(p.server, r.cpu, serve); err != nil {
				return nil, errors.Join(err, p.close())
			}
			return p, nil
		})
	}
	r.say(fmt.Sprintf("%s: bringing up %d pairs", benchmark, len(ups)))
	return atOnce(ups)
}

func (p *pair) up(ctx context.Context, topology topo.Topology, through harness.Datapath) (*topo.Network, error) {
	if through == nil {
		network, err := topo.Up(ctx, topology)
		p.close = func() error { network.Close(); return nil }
		return network, err
	}
	lab, err := harness.New(ctx, topology, through, harness.Unobserved())
	if err != nil {
		return nil, err
	}
	p.close = lab.Close
	return lab.Network(), nil
}

// floor is what the pair on the same path without a datapath had, of all pairs' samples;
// nil for itself.
func floor(pairs []*pair, of *pair, samples map[*pair][]float64) []float64 {
	for _, p := range pairs {
		if p != of && p.params["datapath"] == "empty" && p.params["path"] == of.params["path"] {
			return samples[p]
		}
	}
	return nil
}

// at is where the server listens.
func (p *pair) at() netip.AddrPort { return netip.AddrPortFrom(p.server.IPv4(), p.port.number) }

// with is the pair's parameters and more.
func (p *pair) with(more ...string) map[string]string {
	params := maps.Clone(p.params)
	for pair := range slices.Chunk(more, 2) {
		params[pair[0]] = pair[1]
	}
	return params
}

func (p *pair) Close() error { return errors.Join(p.port.Close(), p.close()) }
