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
// with loads the CPU that the main rows take at fixed rates. Sides are brought up more than
// once, since one is faster or slower for as long as it is up than it is the next time, by up
// to 2 %.
func (r *run) rates(ctx context.Context, t traffic, rows []row, loads bool) error {
	all := rates{rates: map[string][]float64{}, costs: map[string][]float64{}, used: map[offer][]float64{}}
	bringUps := max(1, r.bringUps)
	part := r.finely()
	part.rounds = max(1, part.rounds/bringUps)
	for i := range bringUps {
		if err := all.measure(ctx, part, t, rows, loads, r.cpu, func(row row, reason string) {
			if i == 0 {
				r.results.lacks("pps", t.params(row.name), reason)
			}
		}); err != nil {
			return err
		}
	}
	all.record(r.results, r.loads)
	return nil
}

// rates are what samples of some sides have told, by the names of the sides, over all the
// times that they were up.
type rates struct {
	sides        []string
	params       []map[string]string // of each side
	rates, costs map[string][]float64
	used         map[offer][]float64 // percent of a CPU
}

// offer is a load at a side.
type offer struct {
	side      string
	perSecond int
}

// measure brings the sides up once, and takes a part of the samples.
func (a *rates) measure(ctx context.Context, p plan, t traffic, rows []row, loads bool, cpu int, absent func(row, string)) (err error) {
	sides, err := p.bringUp(ctx, t, rows, cpu, absent)
	defer func() { err = errors.Join(err, closeAll(sides)) }()
	if err != nil {
		return err
	}
	a.sides, a.params = nil, nil
	for _, s := range sides {
		a.sides, a.params = append(a.sides, s.name), append(a.params, s.params)
	}
	rates, costs, err := p.saturate(ctx, sides, "packets per second")
	if err != nil {
		return err
	}
	for _, s := range sides {
		a.rates[s.name] = append(a.rates[s.name], rates[s]...)
		a.costs[s.name] = append(a.costs[s.name], costs[s]...)
	}
	if !loads {
		return nil
	}
	return a.offeredLoads(ctx, p, slices.DeleteFunc(slices.Clone(sides), func(s *side) bool {
		main := func(row row) bool { return row.name == s.name }
		return s != sides[0] && !slices.ContainsFunc(mainRows, main)
	}))
}

// record gives the highest rate of each side ("pps", packets/s, the whole path), from it the
// cost of the datapath alone ("cost", ns/packet), and the CPU that each datapath alone takes
// at fixed rates ("cpu", percent of one CPU): what is left of it is the applications'.
func (a *rates) record(results *Results, loads []int) {
	empty := a.sides[0]
	results.add("pps", a.params[0], "packets/s", a.rates[empty], nil)
	for i, s := range a.sides[1:] {
		results.add("pps", a.params[1+i], "packets/s", a.rates[s], a.rates[empty])
	}
	for i, s := range a.sides[1:] {
		results.addAlone("cost", a.params[1+i], "ns/packet", a.costs[s], a.costs[empty])
	}
	for _, load := range loads {
		for i, s := range a.sides[1:] {
			if used := a.used[offer{s, load}]; used != nil {
				params := maps.Clone(a.params[1+i])
				params["offered"] = strconv.Itoa(load)
				results.addAlone("cpu", params, "%", used, a.used[offer{empty, load}])
			}
		}
	}
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

// offeredLoads measures the CPU that each side takes at fixed rates.
func (a *rates) offeredLoads(ctx context.Context, p plan, sides []*side) error {
	for _, load := range p.loads {
		title := fmt.Sprintf("CPU at %d packets per second", load)
		err := p.interleave(sides, title, func(s *side) error {
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
			at := offer{s.name, load}
			a.used[at] = append(a.used[at], got.cpuPart(load))
			return nil
		})
		if err != nil {
			return err
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
