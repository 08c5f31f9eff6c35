package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"

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
func (p plan) servicesBusy(ctx context.Context, results *Results, busy string, t traffic, cpu int) error {
	var kinds []traffic
	for _, t.services = range p.serviceCounts {
		kinds = append(kinds, t)
	}
	return p.firstAndLater(ctx, results, "services", kinds, func(_ traffic, params map[string]string) { params["busy"] = busy }, cpu)
}

// backends measures the same against the backends of the one service that there is
// ("backends", ns/packet).
func (p plan) backends(ctx context.Context, results *Results, t traffic, cpu int) error {
	var kinds []traffic
	for _, t.backends = range p.backendCounts {
		kinds = append(kinds, t)
	}
	return p.firstAndLater(ctx, results, "backends", kinds, func(t traffic, params map[string]string) {
		params["backends"] = strconv.Itoa(t.backends)
	}, cpu)
}

// manyFirst is how many first packets make a sample.
const manyFirst = 256

// firstAndLater measures first packets of flows and later ones on several kinds of traffic,
// which name tells apart in the parameters.
func (p plan) firstAndLater(ctx context.Context, results *Results, benchmark string, kinds []traffic,
	name func(traffic, map[string]string), cpu int) (err error) {
	p.rounds = max(1, p.rounds/max(1, p.fewer))
	p.say(benchmark + ": bringing up XDP and iptables")
	sides, err := atOnce(serving(ctx, kinds, name, cpu))
	defer func() { err = errors.Join(err, closeAll(sides)) }()
	if err != nil {
		return err
	}
	first, later := map[*side][]float64{}, map[*side][]float64{}
	err = p.interleave(sides, benchmark+", first packets", func(s *side) error {
		var got sample
		for range 2 { // the second counts: what the service needs is in the caches again after other sides' turns
			if err := s.forget(ctx); err != nil {
				return err
			}
			var err error
			if got, err = s.wire.some(ctx, min(kinds[0].flows, manyFirst)); err != nil {
				return err
			}
			if err := s.lost(got); err != nil {
				return err
			}
		}
		first[s] = append(first[s], got.cost())
		return nil
	})
	if err != nil {
		return err
	}
	for _, s := range sides {
		got, err := s.wire.once(ctx) // from here on they know every flow
		if err := errors.Join(err, s.lost(got)); err != nil {
			return err
		}
	}
	err = p.interleave(sides, benchmark+", later packets", func(s *side) error {
		if _, err := s.wire.once(ctx); err != nil { // every flow, and not a part of them, is in the caches
			return err
		}
		got, err := s.wire.saturate(ctx, p.duration/3)
		later[s] = append(later[s], got.cost())
		return errors.Join(err, s.lost(got))
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
			params["packets"] = packets.name
			results.addAlone(benchmark, params, "ns/packet", packets.costs[s], packets.costs[sides[0]])
		}
	}
	return nil
}

// serving are the empty path, and XDP and iptables on each kind of traffic, not yet brought up.
func serving(ctx context.Context, kinds []traffic, name func(traffic, map[string]string), cpu int) []func() (*side, error) {
	t := kinds[0]
	t.services = 1
	ups := []func() (*side, error){func() (*side, error) { return emptyPath(ctx, t, cpu) }}
	for _, t := range kinds {
		for _, d := range []struct {
			name     string
			datapath harness.Datapath
		}{
			{"xdp", ebpf.Datapath(ebpf.WithoutTrace(), ebpf.WithMapSizes(bpf.MapSizes{Services: 65536}))},
			{"iptables", iptables.Datapath()},
		} {
			ups = append(ups, func() (*side, error) {
				s, err := throughDatapath(ctx, d.name, d.datapath, t, cpu)
				if err != nil {
					return nil, fmt.Errorf("bench: %d services with %d backends: %w", t.services, t.backends, err)
				}
				name(t, s.params)
				return s, nil
			})
		}
	}
	return ups
}
