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

// rates measures the empty path and a side for each row on one kind of traffic: the highest
// rate of each side ("pps", packets/s, the whole path), from it the cost of the datapath alone
// ("cost", ns/packet), and with loads the CPU that each main row alone takes at fixed rates
// ("cpu", percent of one CPU): what is left of it is the applications'.
func (r *run) rates(ctx context.Context, t traffic, rows []row, loads bool) (err error) {
	sides, err := r.bringUp(ctx, t, rows, r.cpu, func(row row, reason string) { r.results.lacks("pps", t.params(row.name), reason) })
	defer func() { err = errors.Join(err, closeAll(sides)) }()
	if err != nil {
		return err
	}
	rates, costs, err := r.saturate(ctx, sides, "packets per second")
	if err != nil {
		return err
	}
	empty := sides[0]
	r.results.add("pps", empty.params, "packets/s", rates[empty], nil)
	for _, s := range sides[1:] {
		r.results.add("pps", s.params, "packets/s", rates[s], rates[empty])
	}
	for _, s := range sides[1:] {
		r.results.addAlone("cost", s.params, "ns/packet", costs[s], costs[empty])
	}
	if !loads {
		return nil
	}
	sides = slices.DeleteFunc(slices.Clone(sides), func(s *side) bool {
		return s != empty && !slices.ContainsFunc(mainRows, func(row row) bool { return row.name == s.name })
	})
	for _, load := range r.loads {
		used, err := r.offered(ctx, sides, load)
		if err != nil {
			return err
		}
		for _, s := range sides[1:] {
			params := maps.Clone(s.params)
			params["offered"] = strconv.Itoa(load)
			r.results.addAlone("cpu", params, "%", used[s], used[empty])
		}
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
		if err := s.lost(got); err != nil {
			return err
		}
		rates[s] = append(rates[s], got.rate())
		costs[s] = append(costs[s], got.cost())
		return nil
	})
	return rates, costs, err
}

// lost says that a sample is none, since not every frame came back.
func (s *side) lost(got sample) error {
	if err := got.loss(); err != nil {
		return fmt.Errorf("bench: the %s side lost frames, so its rate is no measure of its cost: %w", s.name, err)
	}
	return nil
}

// offered takes samples of the CPU that each side takes at a fixed rate, in percent.
func (p plan) offered(ctx context.Context, sides []*side, load int) (map[*side][]float64, error) {
	used := map[*side][]float64{}
	err := p.interleave(sides, fmt.Sprintf("CPU at %d packets per second", load), func(s *side) error {
		if err := s.wire.warm(ctx); err != nil {
			return err
		}
		got, err := s.wire.offer(ctx, load, p.duration/2)
		if err != nil {
			return err
		}
		if err := got.loss(); err != nil {
			return fmt.Errorf("bench: the %s side lost frames at %d packets/s: %w", s.name, load, err)
		}
		used[s] = append(used[s], got.cpuPart(load))
		return nil
	})
	return used, err
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
