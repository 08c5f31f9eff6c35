package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/perf/benchmath"
)

// What a run must find of itself to be trusted.
const (
	// As reports judge two runs: two sides that are the same must not look changed.
	significance = 0.01
	noticeable   = 0.05

	leastCeiling = 1.5 // of the generator, in rates of the fastest datapath

	mostForeign = 0.10 // of one CPU, by other processes
	mostStolen  = 0.02 // of one CPU, by the hypervisor
)

// checked measures, and checks the machine before, meanwhile and after, and itself. A
// run that fails a check says so in its environment, and gates nothing.
func (r *run) checked(ctx context.Context, measure func() error) error {
	start, err := readLoad()
	if err != nil {
		return err
	}
	before, err := r.watchMachine(ctx, "before")
	if err != nil {
		return err
	}
	failed := r.trust(ctx)
	if ctx.Err() == nil {
		failed = errors.Join(failed, measure())
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	end, err := readLoad()
	if err != nil {
		return errors.Join(failed, err)
	}
	after, err := r.watchMachine(ctx, "after")
	r.results.Checks = append(r.results.Checks, before, end.since(start).check("meanwhile"), after)
	r.results.judge()
	return errors.Join(failed, err)
}

// judge marks the results when a check has failed.
func (r *Results) judge() {
	var failed []string
	for _, c := range r.Checks {
		if !c.Passed {
			failed = append(failed, c.Says)
		}
	}
	if len(failed) > 0 {
		r.Environment["untrusted"] = strings.Join(failed, "; ")
	}
}

// watchMachine sees what others do on the machine while the run does nothing.
func (r *run) watchMachine(ctx context.Context, when string) (Check, error) {
	r.say("watching what else runs on the machine")
	start, err := readLoad()
	if err != nil {
		return Check{}, err
	}
	select {
	case <-time.After(r.watched):
	case <-ctx.Done():
		return Check{}, ctx.Err()
	}
	end, err := readLoad()
	return end.since(start).check(when), err
}

// check judges what others took of the machine.
func (s taken) check(when string) Check {
	return Check{
		Name: "load-" + when, Passed: s.foreign <= mostForeign && s.stolen <= mostStolen,
		Says: fmt.Sprintf("%s: other processes took %.1f %% of a CPU (at most %.0f %%) and the hypervisor %.1f %% (at most %.0f %%)",
			when, 100*s.foreign, 100*mostForeign, 100*s.stolen, 100*mostStolen),
	}
}

// trust measures how fast frames can be made ("generator", packets/s), and one
// datapath twice, as if it were two (A/A).
func (r *run) trust(ctx context.Context) (err error) {
	fastest := everyRow[0]
	through := func() (*side, error) {
		return throughDatapath(ctx, fastest.name, fastest.datapath(usual), usual, r.cpu)
	}
	alone := func() (*side, error) { return generatorAlone(ctx, usual, r.cpu) }
	sides, err := atOnce([]func() (*side, error){alone, through, through})
	defer func() { err = errors.Join(err, closeAll(sides)) }()
	if err != nil {
		return err
	}
	ceiling := sides[0]
	for _, s := range sides[1:] {
		if err := s.warmUp(ctx); err != nil {
			return err
		}
	}
	rates, _, err := r.atOneGo().saturate(ctx, sides, "checking the run itself")
	if err != nil {
		return err
	}
	r.results.add("generator", ceiling.params, "packets/s", rates[ceiling], nil)
	r.results.Checks = append(r.results.Checks,
		checkGenerator(rates[ceiling], append(slices.Clone(rates[sides[1]]), rates[sides[2]]...)),
		checkAlike(rates[sides[1]], rates[sides[2]]))
	return nil
}

func checkGenerator(ceiling, fastest []float64) Check {
	ratio := median(ceiling) / median(fastest)
	return Check{
		Name: "generator", Passed: ratio >= leastCeiling,
		Says: fmt.Sprintf("the generator alone makes %.2f million packets/s, %.2f times what XDP forwards (at least %.1f times)",
			median(ceiling)/1e6, ratio, leastCeiling),
	}
}

// checkAlike compares two sides that are the same, as two runs would be compared.
func checkAlike(a, b []float64) Check {
	effect, p := apart(a, b)
	return Check{
		Name: "a-a", Passed: p >= significance || effect <= noticeable,
		Says: fmt.Sprintf("two sides that are the same differ by %.1f %% with p = %.2f (not more than %.0f %% with p below %.2f)",
			100*effect, p, 100*noticeable, significance),
	}
}

// apart is by how much the medians of two samples differ, as a part of the
// smaller, and the probability that samples of one distribution lie so far apart.
func apart(a, b []float64) (effect, p float64) {
	sample := func(values []float64) *benchmath.Sample {
		return benchmath.NewSample(slices.Clone(values), &benchmath.DefaultThresholds)
	}
	less, more := min(median(a), median(b)), max(median(a), median(b))
	return more/less - 1, benchmath.AssumeNothing.Compare(sample(a), sample(b)).P
}

func median(values []float64) float64 {
	return benchmath.AssumeNothing.Summary(benchmath.NewSample(slices.Clone(values), &benchmath.DefaultThresholds), confidence).Center
}
