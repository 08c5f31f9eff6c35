package bench

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/ebpf"
)

// Proof describes how the method itself is measured: one datapath is compared with
// itself, and with itself slowed down, again and again.
//
//	err := bench.Proof{Datapath: "xdp", Slower: 0.1, Comparisons: 100, Samples: 144, Duration: 10 * time.Millisecond}.
//		Run(ctx, say, func(c bench.Comparison) error { … })
type Proof struct {
	Datapath    string  // "xdp" or "tc"
	Slower      float64 // by so much of what the datapath alone costs: 0.1 is a tenth
	Turns       uint16  // of the loop that slows it down by that. 0: to be found out
	Comparisons int
	Samples     int           // of each side of a comparison, in twelve laps: what is left over is not taken
	Duration    time.Duration // of each sample
}

// Comparison is three runs that were measured side by side: a datapath, the same again, and the
// same slowed down.
type Comparison struct{ Old, Same, Slower *Results }

// Delay is how a datapath was slowed down.
type Delay struct {
	Turns        uint16  // of the loop that it was slowed down by
	Alone, Added float64 // ns that it takes for a packet, and that they added; 0 where the turns were given
}

// Run takes the comparisons one after the other, and gives each to the function given.
func (p Proof) Run(ctx context.Context, say func(string), each func(Comparison) error) (delay Delay, err error) {
	slowed, ok := slowedDatapaths[p.Datapath]
	if !ok {
		return delay, fmt.Errorf("bench: the datapath %q cannot be slowed down: take xdp or tc", p.Datapath)
	}
	unlock, err := lockMachine(ctx, lockFile, say)
	if err != nil {
		return delay, err
	}
	defer unlock()
	compare := func(turns uint16, title string) (Comparison, error) {
		same := slowed(0)
		s := SideBySide{Datapaths: []harness.Datapath{same, same, slowed(turns)}, Samples: p.Samples, Duration: p.Duration}
		runs, err := s.measure(ctx, s.plan(say), title)
		if err != nil {
			return Comparison{}, err
		}
		return Comparison{Old: runs[0], Same: runs[1], Slower: runs[2]}, nil
	}
	if delay.Turns = p.Turns; delay.Turns == 0 {
		if delay, err = p.calibrate(compare); err != nil {
			return delay, err
		}
	}
	for i := range p.Comparisons {
		c, err := compare(delay.Turns, fmt.Sprintf("%s, comparison %d of %d", p.Datapath, i+1, p.Comparisons))
		if err != nil {
			return delay, err
		}
		if err := each(c); err != nil {
			return delay, err
		}
	}
	return delay, nil
}

// slowedDatapaths are those that can be slowed down by turns.
var slowedDatapaths = map[string]func(turns uint16) harness.Datapath{
	"xdp": func(turns uint16) harness.Datapath { return eBPF(ebpf.WithDelay(turns))(usual) },
	"tc":  func(turns uint16) harness.Datapath { return eBPF(ebpf.WithDelay(turns), ebpf.WithoutXDP())(usual) },
}

// calibrate finds how many turns make the datapath alone slower by about the part wanted: within
// a tenth of that, or, where the machine does not let it be told so exactly, within a third. The
// processor goes through turns while it waits for memory, so that the first of them cost less
// each than the rest: what is found by many turns is tried, and what is missing added.
func (p Proof) calibrate(compare func(turns uint16, title string) (Comparison, error)) (d Delay, err error) {
	const many, tries = 1000, 4
	each := 0. // that one of many adds, as a part
	d.Turns = many
	for try := 0; ; try++ {
		comparisons := 3 // one of them errs by 2 % of what the datapath takes
		if try == 0 {
			comparisons = 1
		}
		alone, slower := 0., 0.
		for range comparisons {
			c, err := compare(d.Turns, fmt.Sprintf("what %d turns add", d.Turns))
			if err != nil {
				return d, err
			}
			alone += (c.Old.Results[1].Median + c.Same.Results[1].Median) / 2 / float64(comparisons)
			slower += c.slower() / float64(comparisons)
		}
		d.Alone, d.Added = alone, alone*slower
		off := math.Abs(slower/p.Slower - 1)
		if off <= 0.1 || try == tries && off <= 1./3 {
			return d, nil
		}
		if try == 0 {
			each = slower / many
		}
		turns := math.Round(float64(d.Turns) + (p.Slower-slower)/each)
		if try == tries || !(1 <= turns && turns <= math.MaxUint16) {
			return d, fmt.Errorf("bench: %d turns added %.1f ns to %.0f ns, and no number of them was found that adds %.0f %%: the machine is too busy to tell",
				d.Turns, d.Added, d.Alone, 100*p.Slower)
		}
		d.Turns = uint16(turns)
	}
}

// slower is by what part the cost grew, in the mean of the laps.
func (c Comparison) slower() (part float64) {
	costs := func(r *Results) []float64 { return r.Results[1].lapMedians() }
	old, same, slower := costs(c.Old), costs(c.Same), costs(c.Slower)
	for lap := range slower {
		part += (2*slower[lap]/(old[lap]+same[lap]) - 1) / float64(len(slower))
	}
	return part
}
