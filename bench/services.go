package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/ebpf"
	"github.com/skbench/skbench/harness/datapath/iptables"
)

// services measures what a packet costs a datapath alone when it serves so many
// services ("services", ns/packet): the first packet of a flow, for which the
// service must be found, and later ones. First all flows go to one service, which
// has one backend, and the others are idle; then they are spread over all, so that
// the CPU's caches have to hold more with every service.
func (p plan) services(ctx context.Context, results *Results, t traffic, cpu int) error {
	one, all := t, t
	one.flows, one.backends, one.busy = 1024, 1, 1
	return errors.Join(
		p.servicesBusy(ctx, results, "1", one, cpu),
		p.servicesBusy(ctx, results, "all", all, cpu),
	)
}

// servicesBusy measures one kind of traffic; busy is the parameter that names it.
func (p plan) servicesBusy(ctx context.Context, results *Results, busy string, t traffic, cpu int) (err error) {
	p.say(fmt.Sprintf("services, busy %s: bringing up XDP and iptables", busy))
	t.services = 1
	empty, err := emptyPath(ctx, t, cpu)
	if err != nil {
		return err
	}
	sides := []*side{empty}
	defer func() { err = errors.Join(err, closeAll(sides)) }()
	for _, t.services = range p.serviceCounts {
		for _, d := range []struct {
			name     string
			datapath harness.Datapath
		}{
			{"xdp", ebpf.Datapath(ebpf.WithoutTrace(), ebpf.WithMapSizes(bpf.MapSizes{Services: 65536}))},
			{"iptables", iptables.Datapath()},
		} {
			s, err := throughDatapath(ctx, d.name, d.datapath, t, cpu)
			if err != nil {
				return fmt.Errorf("bench: %d services: %w", t.services, err)
			}
			sides = append(sides, s)
		}
	}

	first, later := map[*side][]float64{}, map[*side][]float64{}
	err = p.interleave(sides, "services", func(s *side) error {
		if err := s.forget(ctx); err != nil {
			return err
		}
		for _, packets := range []struct {
			costs map[*side][]float64
			send  func() (sample, error)
		}{
			{first, func() (sample, error) { return s.wire.once(ctx) }},
			{later, func() (sample, error) { return s.wire.saturate(ctx, p.duration/2) }},
		} {
			got, err := packets.send()
			if err != nil {
				return err
			}
			if err := got.loss(); err != nil {
				return fmt.Errorf("bench: the %s side lost frames, so its rate is no measure of its cost: %w", s.name, err)
			}
			packets.costs[s] = append(packets.costs[s], got.cost())
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, packets := range []struct {
		name  string
		costs map[*side][]float64
	}{{"first", first}, {"later", later}} {
		for _, s := range sides[1:] {
			params := maps.Clone(s.params)
			params["packets"], params["busy"] = packets.name, busy
			results.add("services", params, "ns/packet", difference(packets.costs[s], packets.costs[empty]))
		}
	}
	return nil
}
