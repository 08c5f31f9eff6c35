package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"time"

	"github.com/skbench/skbench/harness/datapath/ebpf"
)

// Proof describes how the method itself is measured: one datapath is compared with
// itself, and with itself slowed down, again and again.
//
//	err := bench.Proof{Datapath: "xdp", Slower: 0.1, Comparisons: 100, Samples: 100, Duration: 10 * time.Millisecond}.
//		Run(ctx, say, func(c bench.Comparison) error { … })
type Proof struct {
	Datapath    string  // "xdp" or "tc"
	Slower      float64 // by so much of what the datapath alone costs: 0.1 is a tenth
	Comparisons int
	Samples     int           // of each side of a comparison, in six laps: what is left over is not taken
	Duration    time.Duration // of each sample
}

// Comparison is three runs that were measured in the same rounds: a datapath, the same
// again, and the same slowed down. Each has its rate ("pps") and the cost of the
// datapath alone ("cost"), under the same names, beside an empty path of its own. Unlike those
// of a night, its laps follow one another at once and bring nothing up anew: they are the
// method's own share in what two nights differ by, and not the machine's.
type Comparison struct{ Old, Same, Slower *Results }

// Delay is how a datapath was slowed down.
type Delay struct {
	Alone float64 // ns that it takes for a packet
	Turns uint16  // of the loop that it was slowed down by
	Added float64 // ns that they took
}

// Run takes the comparisons one after the other, and gives each to the function given.
func (p Proof) Run(ctx context.Context, say func(string), each func(Comparison) error) (delay Delay, err error) {
	slowed, ok := slowedRows[p.Datapath]
	if !ok {
		return delay, fmt.Errorf("bench: the datapath %q cannot be slowed down: take xdp or tc", p.Datapath)
	}
	unlock, err := lockMachine(ctx, lockFile, say)
	if err != nil {
		return delay, err
	}
	defer unlock()
	cpu, plan := runtime.NumCPU()-1, plan{laps: fewLaps, rounds: max(1, p.Samples/fewLaps), duration: p.Duration, say: say}
	if delay, err = plan.atOneGo().calibrate(ctx, slowed, p.Slower, cpu); err != nil {
		return delay, err
	}
	return delay, p.compare(ctx, plan, slowed, delay.Turns, cpu, each)
}

// slowedRows are the datapaths that can be slowed down by turns.
var slowedRows = map[string]func(uint16) row{
	"xdp": func(turns uint16) row { return row{"xdp", eBPF(ebpf.WithDelay(turns))} },
	"tc":  func(turns uint16) row { return row{"tc", eBPF(ebpf.WithDelay(turns), ebpf.WithoutXDP())} },
}

func (p Proof) compare(ctx context.Context, plan plan, slowed func(uint16) row, turns uint16, cpu int, each func(Comparison) error) (err error) {
	var sides []*side // of each run its own empty path, as two nights have, and its datapath
	defer func() { err = errors.Join(err, closeAll(sides)) }()
	for _, turns := range []uint16{0, 0, turns} {
		run, err := plan.bringUp(ctx, usual, []row{slowed(turns)}, cpu, func(row, string) {})
		sides = append(sides, run...)
		if err != nil {
			return err
		}
	}
	where := environment(cpu)
	for i := range p.Comparisons {
		var runs [3]*Results
		for run := range runs {
			runs[run] = &Results{Schema: Schema, Environment: where}
		}
		for range plan.laps {
			rates, costs, err := plan.saturate(ctx, sides, fmt.Sprintf("%s, comparison %d of %d", p.Datapath, i+1, p.Comparisons))
			if err != nil {
				return err
			}
			for run, r := range runs {
				empty, s := sides[2*run], sides[2*run+1]
				r.add("pps", s.params, "packets/s", rates[s], rates[empty])
				r.addAlone("cost", s.params, "ns/packet", costs[s], costs[empty])
			}
		}
		if err := each(Comparison{Old: runs[0], Same: runs[1], Slower: runs[2]}); err != nil {
			return err
		}
	}
	return nil
}

// calibrate finds how many turns make the datapath alone slower by the part given, within a
// tenth of that. The processor goes through turns while it waits for memory, so that few of
// them cost less each than many, and how much less depends on what is in its caches: what is
// found by many turns is tried, and tried again.
func (p plan) calibrate(ctx context.Context, slowed func(uint16) row, part float64, cpu int) (d Delay, err error) {
	const many, tries = 1000, 6
	d.Turns = many
	for range tries {
		if d.Alone, d.Added, err = p.added(ctx, slowed(0), slowed(d.Turns), cpu); err != nil {
			return d, err
		}
		want := part * d.Alone
		if math.Abs(d.Added-want) <= want/10 {
			return d, nil
		}
		turns := math.Round(float64(d.Turns) * want / d.Added)
		if !(1 <= turns && turns <= math.MaxUint16) {
			break
		}
		d.Turns = uint16(turns)
	}
	return d, fmt.Errorf("bench: %d turns added %.1f ns to %.0f ns, and no number of them was found that adds %.0f %%: the machine is too busy to tell",
		d.Turns, d.Added, d.Alone, 100*part)
}

// added is what the datapath alone takes for a packet, and how much more the slower one does, in nanoseconds.
func (p plan) added(ctx context.Context, usually, slower row, cpu int) (alone, added float64, err error) {
	reason := ""
	sides, err := p.bringUp(ctx, usual, []row{usually, slower}, cpu, func(_ row, lacks string) { reason = lacks })
	defer func() { err = errors.Join(err, closeAll(sides)) }()
	if err != nil {
		return 0, 0, err
	}
	if reason != "" {
		return 0, 0, fmt.Errorf("bench: %s", reason)
	}
	_, costs, err := p.saturate(ctx, sides, "what turns take")
	if err != nil {
		return 0, 0, err
	}
	return median(difference(costs[sides[1]], costs[sides[0]])), median(difference(costs[sides[2]], costs[sides[1]])), nil
}
