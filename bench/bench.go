// Package bench measures datapaths against one another on a wire: a node under
// test whose one NIC is cabled to a tester that sends, takes back and counts.
//
//	results, err := bench.Run(ctx, bench.Options{Quick: true})
//	results.Write("out/bench")
//
// There are two modes, and each figure names its own. In the inline mode generator
// and datapath run on one CPU, so no frame is lost and the rate is one over the
// cost of a packet in CPU time, generator and wire included. In the split mode the NIC under
// test receives in a kernel thread on a CPU of its own, so that frames are lost
// when it is too slow, and the scheduler's clock of that thread tells its work. What
// the datapath alone costs is the whole minus the cost of the empty path, measured
// in the same round.
package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"

	"github.com/skbench/skbench/harness/feature"
)

// Options say what a run measures and how thoroughly, and who is told how far it is.
type Options struct {
	Quick    bool
	Only     []string     // benchmarks, by the first words of their names; none: all. See Benchmarks
	Shard    Shard        // the zero value is the whole run
	Progress func(string) // nil: nobody
}

// run is a run under way.
type run struct {
	plan
	cpu     int // that generator and inline datapaths share
	results *Results
}

// Run measures what the options ask for, one benchmark after the other in several laps, and
// itself beside. It waits until no other run is under way on this machine, and takes the
// last CPU for itself. A benchmark that fails does not keep the others from being
// measured: the results are good with an error too, unless they are nil.
func Run(ctx context.Context, o Options) (*Results, error) {
	chosen, err := choose(o)
	if err != nil {
		return nil, err
	}
	if f := feature.LiveFrames.Check(); f.State != feature.Yes {
		return nil, fmt.Errorf("bench: the generator needs %s: %s", f.Name, f.Reason)
	}
	r := &run{plan: o.plan(), cpu: runtime.NumCPU() - 1}
	unlock, err := lockMachine(ctx, lockFile, r.say)
	if err != nil {
		return nil, err
	}
	defer unlock()
	r.results = &Results{Schema: Schema, Environment: environment(r.cpu)}
	r.results.Environment["sampling"] = r.sampling()
	if o.Shard.Of > 1 {
		r.results.Environment["shard"] = o.Shard.String()
	}
	return r.results, r.checked(ctx, func() error { return r.all(ctx, chosen) })
}

// all measures the benchmarks in turn, lap by lap. One that fails is left out from then on.
func (r *run) all(ctx context.Context, chosen []benchmark) (failed error) {
	say, broken := r.say, map[string]bool{}
	for lap := range r.laps {
		r.say = func(what string) { say(fmt.Sprintf("lap %d of %d: %s", lap+1, r.laps, what)) }
		for _, b := range chosen {
			if broken[b.name] || !b.isIn(lap, r.laps) {
				continue
			}
			err := b.measure(ctx, r)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				broken[b.name] = true
				failed = errors.Join(failed, fmt.Errorf("%s: %w", b.name, err))
				reason, _, _ := strings.Cut(err.Error(), "\n")
				r.results.lacks(b.of, map[string]string{}, fmt.Sprintf("%s failed: %s", b.name, reason))
			}
		}
	}
	r.say = say
	return failed
}

// lacks records what cannot be measured here, once for all laps.
func (r *Results) lacks(benchmark string, params map[string]string, reason string) {
	known := func(a Absence) bool {
		return a.Benchmark == benchmark && maps.Equal(a.Params, params) && a.Reason == reason
	}
	if !slices.ContainsFunc(r.Absent, known) {
		r.Absent = append(r.Absent, Absence{Benchmark: benchmark, Params: params, Reason: reason})
	}
}
