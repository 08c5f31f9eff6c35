// Package bench measures datapaths against one another on a wire: a node under
// test whose one NIC is cabled to a tester that sends, takes back and counts.
//
//	results, err := bench.Run(ctx, bench.Options{Quick: true})
//	results.Write("out/bench")
//
// All figures are of the inline mode: generator and datapath run on one CPU, so no
// frame is lost and the rate is one over the cost of a packet, generator and wire
// included. What the datapath alone costs is that minus the cost of the empty
// path, measured in the same round.
package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"time"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/ebpf"
	"github.com/skbench/skbench/harness/datapath/iptables"
	"github.com/skbench/skbench/harness/feature"
	"github.com/skbench/skbench/topo"
)

// Options say how thorough a run is, and who is told how far it is.
type Options struct {
	Quick    bool
	Progress func(string) // nil: nobody
}

// plan is what Options come to.
type plan struct {
	rounds   int           // samples of each side
	duration time.Duration // of each sample
	families []topo.Family
	loads    []int // packets/s offered, in the proportion 1 : 2 : 4

	serviceCounts []int
	say           func(string)
}

func (o Options) plan() plan {
	p := plan{rounds: 15, duration: 500 * time.Millisecond, families: []topo.Family{topo.IPv4, topo.IPv6}, loads: []int{75000, 150000, 300000},
		serviceCounts: []int{1, 100, 1000, 10000}}
	if o.Quick {
		p.rounds, p.duration, p.families = 10, 300*time.Millisecond, p.families[:1]
		p.serviceCounts = []int{1, 1000}
	}
	p.say = o.Progress
	if p.say == nil {
		p.say = func(string) {}
	}
	return p
}

// Run measures every side at one service, on many flows. It takes the last CPU
// for itself.
func Run(ctx context.Context, o Options) (*Results, error) {
	if f := feature.LiveFrames.Check(); f.State != feature.Yes {
		return nil, fmt.Errorf("bench: the generator needs %s: %s", f.Name, f.Reason)
	}
	p, cpu := o.plan(), runtime.NumCPU()-1
	results := &Results{Schema: Schema, Environment: environment(cpu)}
	for _, family := range p.families {
		if err := p.measure(ctx, results, traffic{family: family, flows: 1024, size: 64, services: 1}, cpu); err != nil {
			return nil, err
		}
	}
	if err := p.services(ctx, results, traffic{family: topo.IPv4, flows: 8192, size: 64}, cpu); err != nil {
		return nil, err
	}
	return results, nil
}

// measure appends the results of one kind of traffic.
func (p plan) measure(ctx context.Context, results *Results, t traffic, cpu int) (err error) {
	p.say(fmt.Sprintf("%s: bringing up the empty path, XDP, TC and iptables", t.family))
	sides, err := bringUp(ctx, t, cpu)
	defer func() { err = errors.Join(err, closeAll(sides)) }()
	if err != nil {
		return err
	}
	if err := p.saturation(ctx, results, sides); err != nil {
		return err
	}
	return p.offeredLoads(ctx, results, sides)
}

// side is one of the ways that are compared: a wire, and what stands at its end.
type side struct {
	name   string
	params map[string]string // of its results
	wire   *wire
	close  func() error                // of the lab or network behind the wire
	forget func(context.Context) error // every flow that is known behind the wire
}

func (t traffic) params(datapath string) map[string]string {
	return map[string]string{
		"datapath": datapath, "mode": "inline", "family": family(t.family),
		"size": strconv.Itoa(t.size), "flows": strconv.Itoa(t.flows), "services": strconv.Itoa(t.services),
	}
}

func family(f topo.Family) string {
	if f == topo.IPv6 {
		return "ipv6"
	}
	return "ipv4"
}

// bringUp readies all sides, the empty path first. Sides that are up are returned
// with an error too, to be closed.
func bringUp(ctx context.Context, t traffic, cpu int) (sides []*side, err error) {
	empty, err := emptyPath(ctx, t, cpu)
	if err != nil {
		return nil, err
	}
	sides = append(sides, empty)
	for _, d := range []struct {
		name     string
		datapath harness.Datapath
	}{
		{"xdp", ebpf.Datapath(ebpf.WithoutTrace())},
		{"tc", ebpf.Datapath(ebpf.WithoutTrace(), ebpf.WithoutXDP())},
		{"iptables", iptables.Datapath()},
	} {
		s, err := throughDatapath(ctx, d.name, d.datapath, t, cpu)
		if err != nil {
			return sides, err
		}
		sides = append(sides, s)
	}
	for _, s := range sides {
		if err := s.warmUp(ctx); err != nil {
			return sides, err
		}
	}
	return sides, nil
}

// emptyPath is nothing but the wire: the NIC under test sends every frame back.
func emptyPath(ctx context.Context, t traffic, cpu int) (*side, error) {
	network, err := topo.Up(ctx, topo.Wire())
	if err != nil {
		return nil, err
	}
	s := &side{
		name: "empty", params: t.params("empty"),
		close:  func() error { network.Close(); return nil },
		forget: func(context.Context) error { return nil },
	}
	if s.wire, err = newWire(network, t, firstNodePort, cpu); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if err := s.wire.bounce(network); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// throughDatapath has node port services whose backends are pods on another node,
// which the tester stands in for.
func throughDatapath(ctx context.Context, name string, d harness.Datapath, t traffic, cpu int) (*side, error) {
	lab, err := harness.New(ctx, topo.Wire(), d, harness.Unobserved())
	if err != nil {
		return nil, err
	}
	s := &side{name: name, params: t.params(name), close: lab.Close, forget: lab.Forget}
	if err := lab.Serve(ctx, t.served()); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if s.wire, err = newWire(lab.Network(), t, backendPort, cpu); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// warmUp makes the datapath know every flow, and shows that it works at all.
func (s *side) warmUp(ctx context.Context) error {
	got, err := s.wire.saturate(ctx, 50*time.Millisecond)
	if err != nil {
		return err
	}
	if err := got.loss(); err != nil {
		return fmt.Errorf("bench: the %s side does not forward: %w", s.name, err)
	}
	return nil
}

func (s *side) Close() error { return errors.Join(s.wire.Close(), s.close()) }

func closeAll(sides []*side) (err error) {
	for _, s := range sides {
		err = errors.Join(err, s.Close())
	}
	return err
}
