package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/skbench/skbench/topo"
)

// plan is what Options come to.
type plan struct {
	laps     int           // through the benchmarks
	rounds   int           // samples of each side in a lap
	duration time.Duration // of each sample, at saturation
	loads    []int         // packets/s offered, in the proportion 1 : 2 : 4

	fewer         int           // a quick run counts so many times less of what is counted
	watched       time.Duration // what others do before the run and after
	serviceCounts []int
	backendCounts []int
	labNodes      []int
	trial         time.Duration // of a rate, in the search for the highest one without loss
	say           func(string)
}

// plan goes through the benchmarks several times, and brings sides up anew each time. A side is
// faster or slower for as long as it is up than it is the next time, since its maps lie
// elsewhere in memory, and the machine's neighbours come and go within seconds or minutes: what differs
// from lap to lap is what would differ from run to run, and tells what a change must exceed.
// With six laps against six the U test asks for all but 2 of 36 pairs to differ the same way
// (p < 0.01), with twelve it allows 27 of 144: every second time it finds what changed by 1.3
// times the laps' spread, and not by 2.2 times.
//
// Within a lap samples are short: the shorter a round is, the less the machine changes from
// one side's turn to the next, and the better what sides have in common cancels.
func (o Options) plan() plan {
	p := plan{laps: 12, rounds: 12, duration: 40 * time.Millisecond, loads: []int{75000, 150000, 300000},
		watched: 2 * time.Second, fewer: 1, serviceCounts: []int{1, 100, 1000, 10000}, backendCounts: []int{1, 10, 100, 1000},
		labNodes: []int{3, 30, 100}, trial: 50 * time.Millisecond}
	if o.Quick {
		p.laps, p.rounds, p.duration = 2, 50, 5*time.Millisecond
		p.fewer = 4
		p.watched, p.serviceCounts = time.Second/2, []int{1, 1000}
		p.labNodes = p.labNodes[:1]
	}
	p.say = o.Progress
	if p.say == nil {
		p.say = func(string) {}
	}
	return p
}

// sampling is how samples are taken, in words: results taken in another way are not compared.
func (p plan) sampling() string {
	return fmt.Sprintf("%d samples of %v at saturation in each of %d laps, each after packets that are not counted", p.rounds, p.duration, p.laps)
}

// atOneGo takes the samples of all laps in a row.
func (p plan) atOneGo() plan {
	p.rounds *= p.laps
	return p
}

// benchmark is a part of a run that stands on its own: a shard has all of it or
// nothing.
type benchmark struct {
	name    string
	of      string // the benchmark of its results, as results.json calls it
	quick   bool   // in a quick run, too
	laps    int    // that it has a part in, evenly spread; 0: all
	seconds int    // that it takes about in a full run
	measure func(context.Context, *run) error
}

// usual is the traffic around which one thing at a time is varied.
var usual = traffic{family: topo.IPv4, flows: 1024, size: 64, services: 1}

// benchmarks are all that there are. Rates are measured in a star, not in all
// combinations: every datapath on the usual traffic and on its IPv6 twin; then, with
// one representative of each way, the usual traffic with one thing changed: frame
// size, number of flows, place of the backend.
var benchmarks = []benchmark{
	{"pps", "pps", true, 0, 90, func(ctx context.Context, r *run) error { return r.rates(ctx, usual, everyRow, true) }},
	{"pps-ipv6", "pps", false, 0, 90, func(ctx context.Context, r *run) error {
		return r.rates(ctx, usual.with(func(t *traffic) { t.family = topo.IPv6 }), everyRow, true)
	}},
	{"pps-512", "pps", false, 0, 25, varied(func(t *traffic) { t.size = 512 })},
	{"pps-1500", "pps", false, 0, 25, varied(func(t *traffic) { t.size = 1500 })},
	{"pps-imix", "pps", false, 0, 25, varied(func(t *traffic) { t.size = imix })},
	{"pps-1-flow", "pps", false, 0, 25, varied(func(t *traffic) { t.flows = 1 })},
	{"pps-32-flows", "pps", false, 0, 25, varied(func(t *traffic) { t.flows = 32 })},
	{"pps-65536-flows", "pps", false, 0, 40, varied(func(t *traffic) { t.flows = 65536 })},
	{"pps-local", "pps", false, 0, 25, varied(func(t *traffic) { t.local = true })},
	{"pps-split", "pps", false, 0, 25, func(ctx context.Context, r *run) error { return r.splitRates(ctx) }},
	{"ndr", "ndr", false, 0, 60, func(ctx context.Context, r *run) error { return r.lossFree(ctx) }},
	{"services", "services", true, 0, 180, func(ctx context.Context, r *run) error {
		return r.services(ctx, r.results, traffic{family: topo.IPv4, flows: 8192, size: 64}, r.cpu)
	}},
	{"backends", "backends", false, 0, 60, func(ctx context.Context, r *run) error {
		return r.backends(ctx, r.results, usual.with(func(t *traffic) { t.flows = 4096 }), r.cpu)
	}},
	{"latency", "latency", true, 0, 40, func(ctx context.Context, r *run) error { return r.latency(ctx) }},
	{"program", "program", true, 0, 20, func(ctx context.Context, r *run) error { return r.programs(ctx) }},
	{"program-verifier", "program", true, 1, 2, func(_ context.Context, r *run) error { return r.verifier() }},
	{"lab", "lab", true, fewLaps, 180, func(ctx context.Context, r *run) error { return r.labs(ctx) }},
	{"throughput", "throughput", true, 0, 60, func(ctx context.Context, r *run) error { return r.throughput(ctx) }},
}

// isIn tells whether the benchmark has a part in a lap of so many.
func (b benchmark) isIn(lap, laps int) bool {
	return b.laps == 0 || lap%max(1, laps/b.laps) == 0
}

// with is the traffic with something changed.
func (t traffic) with(change func(*traffic)) traffic {
	change(&t)
	return t
}

// varied measures rates of the usual traffic with one thing changed.
func varied(change func(*traffic)) func(context.Context, *run) error {
	return func(ctx context.Context, r *run) error { return r.rates(ctx, usual.with(change), mainRows, false) }
}

// Benchmarks are the names of the parts of a run, in their order.
func Benchmarks() (names []string) {
	for _, b := range benchmarks {
		names = append(names, b.name)
	}
	return names
}

// choose takes those benchmarks that the options ask for.
func choose(o Options) ([]benchmark, error) {
	chosen := slices.DeleteFunc(slices.Clone(benchmarks), func(b benchmark) bool {
		asked := len(o.Only) == 0
		for _, name := range o.Only {
			asked = asked || b.name == name || strings.HasPrefix(b.name, name+"-")
		}
		return !asked || o.Quick && !b.quick
	})
	if len(chosen) == 0 && len(o.Only) > 0 {
		return nil, fmt.Errorf("bench: there is no benchmark %s here: a full run has %s, a quick one fewer",
			strings.Join(o.Only, ", "), strings.Join(Benchmarks(), ", "))
	}
	for _, name := range o.Only {
		if !slices.ContainsFunc(benchmarks, func(b benchmark) bool { return b.name == name || strings.HasPrefix(b.name, name+"-") }) {
			return nil, fmt.Errorf("bench: there is no benchmark %q: there are %s", name, strings.Join(Benchmarks(), ", "))
		}
	}
	return o.Shard.take(chosen)
}
