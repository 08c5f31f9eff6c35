package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// rates measures the empty path and a side for each row on one kind of traffic, and
// with loads the CPU that the main rows take at fixed rates.
func (r *run) rates(ctx context.Context, t traffic, rows []row, loads bool) (err error) {
	sides, err := r.bringUp(ctx, t, rows, r.cpu, func(row row, reason string) {
		r.results.lacks("pps", t.params(row.name), reason)
	})
	defer func() { err = errors.Join(err, closeAll(sides)) }()
	if err != nil {
		return err
	}
	if err := r.finely().saturation(ctx, r.results, sides); err != nil || !loads {
		return err
	}
	return r.offeredLoads(ctx, r.results, slices.DeleteFunc(slices.Clone(sides), func(s *side) bool {
		main := func(row row) bool { return row.name == s.name }
		return s != sides[0] && !slices.ContainsFunc(mainRows, main)
	}))
}

// saturation measures the highest rate of each side ("pps", packets/s, the whole
// path) and from it the cost of the datapath alone ("cost", ns/packet).
func (p plan) saturation(ctx context.Context, results *Results, sides []*side) error {
	rates, costs, err := p.saturate(ctx, sides, "packets per second")
	if err != nil {
		return err
	}
	empty := sides[0]
	results.add("pps", empty.params, "packets/s", rates[empty], nil)
	for _, s := range sides[1:] {
		results.add("pps", s.params, "packets/s", rates[s], rates[empty])
	}
	for _, s := range sides[1:] {
		results.addAlone("cost", s.params, "ns/packet", costs[s], costs[empty])
	}
	return nil
}

// saturate takes samples of each side's highest rate and of what a packet then costs.
func (p plan) saturate(ctx context.Context, sides []*side, title string) (rates, costs map[*side][]float64, err error) {
	rates, costs = map[*side][]float64{}, map[*side][]float64{}
	err = p.interleave(sides, title, func(s *side) error {
		if err := s.wire.warm(ctx); err != nil {
			return err
		}
		got, err := s.wire.saturate(ctx, p.duration)
		if err != nil {
			return err
		}
		if err := got.loss(); err != nil {
			return fmt.Errorf("bench: the %s side lost frames, so its rate is no measure of its cost: %w", s.name, err)
		}
		rates[s] = append(rates[s], got.rate())
		costs[s] = append(costs[s], got.cost())
		return nil
	})
	return rates, costs, err
}

// offeredLoads measures the CPU that each datapath alone takes at fixed rates
// ("cpu", percent of one CPU): what is left of it is the applications'.
func (p plan) offeredLoads(ctx context.Context, results *Results, sides []*side) error {
	for _, load := range p.loads {
		used := map[*side][]float64{}
		title := fmt.Sprintf("CPU at %d packets per second", load)
		err := p.interleave(sides, title, func(s *side) error {
			offered := p.duration / 2
			got, err := s.wire.offer(ctx, load, offered)
			if err != nil {
				return err
			}
			if err := got.loss(); err != nil {
				return fmt.Errorf("bench: the %s side lost frames at %d packets/s: %w", s.name, load, err)
			}
			used[s] = append(used[s], got.cpuPart(offered))
			return nil
		})
		if err != nil {
			return err
		}
		empty := sides[0]
		for _, s := range sides[1:] {
			params := maps.Clone(s.params)
			params["offered"] = strconv.Itoa(load)
			results.addAlone("cpu", params, "%", used[s], used[empty])
		}
	}
	return nil
}

func (p plan) interleave(sides []*side, what string, sample func(*side) error) error {
	return interleave(p, sides, what, func(s *side) string { return s.name }, sample)
}

// interleave takes a sample of every side in each round. Rounds go through the sides
// forwards and backwards by turns (ABBA), so that a drift of the machine touches
// all sides alike.
func interleave[S any](p plan, sides []S, what string, name func(S) string, sample func(S) error) error {
	order := slices.Clone(sides)
	shown := time.Time{}
	for round := range p.rounds {
		for _, s := range order {
			if time.Since(shown) > time.Second/2 {
				p.say(fmt.Sprintf("%s: round %d of %d: %s", what, round+1, p.rounds, name(s)))
				shown = time.Now()
			}
			if err := sample(s); err != nil {
				return err
			}
		}
		slices.Reverse(order)
	}
	return nil
}
