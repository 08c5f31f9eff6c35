package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"time"

	"github.com/skbench/skbench/harness"
)

// SideBySide describes datapaths that are measured in the same rounds, to tell apart what two
// runs could not: a lap in which the machine was slower is one for all of them.
//
//	runs, err := bench.SideBySide{Datapaths: []harness.Datapath{mine, mineWithTheChange}}.Run(ctx, say)
//
// There are as many laps as in a full run, and each brings everything up anew, in another order:
// which side is up first makes it a few percent faster or slower.
type SideBySide struct {
	Datapaths []harness.Datapath
	Samples   int           // of each, in twelve laps: what is left over is not taken. 0: as many as a full run takes
	Duration  time.Duration // of each sample. 0: as long as in a full run
}

// Run measures each datapath on 64-byte frames of 1,024 IPv4 flows to one NodePort whose backend
// is on another node: a run for each, with rate ("pps") and cost of the datapath alone ("cost"),
// beside the empty path that all share. They go by the first one's name, so that reports can
// compare them, and know by their environment that they were measured side by side.
func (s SideBySide) Run(ctx context.Context, say func(string)) ([]*Results, error) {
	if len(s.Datapaths) < 2 {
		return nil, fmt.Errorf("bench: side by side are two datapaths or more, and here are %d", len(s.Datapaths))
	}
	p := s.plan(say)
	unlock, err := lockMachine(ctx, lockFile, p.say)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return s.measure(ctx, p, "side by side")
}

func (s SideBySide) plan(say func(string)) plan {
	p := Options{Progress: say}.plan()
	if s.Samples > 0 {
		p.rounds = max(1, s.Samples/p.laps)
	}
	if s.Duration > 0 {
		p.duration = s.Duration
	}
	return p
}

// measure takes all laps. The machine is the caller's.
func (s SideBySide) measure(ctx context.Context, p plan, title string) ([]*Results, error) {
	for _, d := range s.Datapaths {
		if reason := lacking(d); reason != "" {
			return nil, fmt.Errorf("bench: %s cannot be measured: %s", d.Name(), reason)
		}
	}
	cpu := runtime.NumCPU() - 1
	where := environment(cpu)
	where["sampling"] = p.sampling()
	where["side-by-side"] = time.Now().UTC().Format(time.RFC3339Nano) // the same in these runs, and in no others
	runs := make([]*Results, len(s.Datapaths))
	for i := range runs {
		runs[i] = &Results{Schema: Schema, Environment: maps.Clone(where)}
	}
	for lap := range p.laps {
		if err := s.lap(ctx, p, lap, cpu, runs, title); err != nil {
			return nil, err
		}
	}
	return runs, nil
}

// lap adds to runs the samples of a lap.
func (s SideBySide) lap(ctx context.Context, p plan, lap, cpu int, runs []*Results, title string) (err error) {
	ups := []func() (*side, error){func() (*side, error) { return emptyPath(ctx, usual, cpu) }}
	order := turn(lap, len(runs))
	for _, i := range order {
		ups = append(ups, func() (*side, error) { return throughDatapath(ctx, s.Datapaths[i].Name(), s.Datapaths[i], usual, cpu) })
	}
	sides, err := warmedUp(ctx, ups)
	defer func() { err = errors.Join(err, closeAll(sides)) }()
	if err != nil {
		return err
	}
	rates, costs, err := p.saturate(ctx, sides, fmt.Sprintf("%s, lap %d of %d", title, lap+1, p.laps))
	if err != nil {
		return err
	}
	params := usual.params(s.Datapaths[0].Name())
	empty := sides[0]
	for place, i := range order {
		side := sides[1+place]
		runs[i].add("pps", params, "packets/s", rates[side], rates[empty])
		runs[i].addAlone("cost", params, "ns/packet", costs[side], costs[empty])
	}
	return nil
}

// turn is in which order so many are brought up in a lap: the first one comes last in the next.
func turn(lap, many int) (order []int) {
	for i := range many {
		order = append(order, (lap+i)%many)
	}
	return order
}
