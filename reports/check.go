package reports

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"time"

	"golang.org/x/perf/benchmath"
)

// environmentKeys must be in every environment: a figure without them says nothing.
var environmentKeys = []string{"time", "kernel", "cpu", "cpus", "goos", "goarch"}

// What names may hold. A benchmark names files, a parameter and its value name
// a Go benchmark, an environment key is a configuration line of benchmark text.
// results.schema.json has the same patterns.
var (
	namePattern           = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	valuePattern          = regexp.MustCompile(`^[A-Za-z0-9._:+-]+$`)
	unitPattern           = regexp.MustCompile(`^[A-Za-z0-9%._-]+(/[A-Za-z0-9%._-]+)?$`)
	environmentKeyPattern = regexp.MustCompile(`^[a-z][a-z0-9._-]*$`)
	countPattern          = regexp.MustCompile(`^[1-9][0-9]*$`)
	lineOfTextPattern     = regexp.MustCompile(`^[^\x00-\x1f\x7f]+$`)
)

// check returns what the file holds, and every problem found in it.
func (f *file) check() (*Results, []error) {
	problems := checkEnvironment(f.Environment)
	if len(f.Results) == 0 {
		problems = append(problems, errors.New("results is missing or empty: measure at least one benchmark"))
	}
	problems = append(problems, checkNotes(f.Checks, f.Absent)...)
	results := &Results{Schema: *f.Schema, Environment: f.Environment, Checks: f.Checks, Absent: f.Absent}
	places := map[string]int{}
	for i, written := range f.Results {
		result, err := written.check()
		if err != nil {
			problems = append(problems, fmt.Errorf("results[%d].%w", i, err))
			continue
		}
		identity := result.goName() + " in " + result.Unit
		if first, twice := places[identity]; twice {
			problems = append(problems, fmt.Errorf("results[%d] and results[%d] are both %s: put their samples into one result", first, i, identity))
		}
		places[identity] = i
		results.Results = append(results.Results, result)
	}
	return results, problems
}

// checkNotes looks at what the run says beside its figures.
func checkNotes(checks []Check, absent []Absence) (problems []error) {
	for i, c := range checks {
		if !namePattern.MatchString(c.Name) {
			problems = append(problems, fmt.Errorf("checks[%d].name is %q: begin with a small letter and use only small letters, digits and -", i, c.Name))
		}
		if !lineOfTextPattern.MatchString(c.Says) {
			problems = append(problems, fmt.Errorf("checks[%d].says is %q: write one line of text", i, c.Says))
		}
	}
	for i, a := range absent {
		if err := (fileResult{Benchmark: &a.Benchmark, Params: a.Params, Unit: new("s")}).checkWords(); err != nil {
			problems = append(problems, fmt.Errorf("absent[%d].%w", i, err))
		}
		if !lineOfTextPattern.MatchString(a.Reason) {
			problems = append(problems, fmt.Errorf("absent[%d].reason is %q: write one line of text", i, a.Reason))
		}
	}
	return problems
}

func checkEnvironment(environment map[string]string) (problems []error) {
	for _, key := range environmentKeys {
		if _, there := environment[key]; !there {
			problems = append(problems, fmt.Errorf("environment.%s is missing: say where and when the figures were measured", key))
		}
	}
	if cpus, there := environment["cpus"]; there && !countPattern.MatchString(cpus) {
		problems = append(problems, fmt.Errorf("environment.cpus is %q: write how many there are, as digits", cpus))
	}
	if at, there := environment["time"]; there {
		if _, err := time.Parse(time.RFC3339, at); err != nil {
			problems = append(problems, fmt.Errorf("environment.time is %q: write it as in 2026-01-31T23:59:00Z", at))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(environment)) {
		if !environmentKeyPattern.MatchString(key) {
			problems = append(problems, fmt.Errorf("environment has the key %q: begin with a small letter and use only small letters, digits and . _ -", key))
		}
		if !lineOfTextPattern.MatchString(environment[key]) {
			problems = append(problems, fmt.Errorf("environment.%s is %q: write one line of text", key, environment[key]))
		}
	}
	return problems
}

// check turns one result as written into one that can be trusted. Its error
// begins with the name of the field.
func (w fileResult) check() (Result, error) {
	if err := cmp.Or(w.checkWords(), w.checkNumbers()); err != nil {
		return Result{}, err
	}
	r := Result{
		Benchmark: *w.Benchmark, Params: w.Params, Unit: *w.Unit,
		Median: *w.Median, Low: *w.Low, High: *w.High,
	}
	for _, sample := range w.Samples {
		r.Samples = append(r.Samples, *sample)
	}
	return r, r.checkSummary()
}

func (w fileResult) checkWords() error {
	if w.Benchmark == nil || !namePattern.MatchString(*w.Benchmark) {
		return fmt.Errorf("benchmark is %s: begin with a small letter and use only small letters, digits and -", quoted(w.Benchmark))
	}
	if w.Unit == nil || !unitPattern.MatchString(*w.Unit) {
		return fmt.Errorf(`unit is %s: write it as in "packets/s" or "ns/packet"`, quoted(w.Unit))
	}
	if w.Params == nil {
		return errors.New("params is missing: write {} when there are none")
	}
	for _, name := range slices.Sorted(maps.Keys(w.Params)) {
		if !namePattern.MatchString(name) {
			return fmt.Errorf("params has the name %q: begin with a small letter and use only small letters, digits and -", name)
		}
		if value := w.Params[name]; !valuePattern.MatchString(value) {
			return fmt.Errorf("params.%s is %q: use only letters, digits and . _ : + -", name, value)
		}
	}
	return nil
}

// quoted shows a string that may be missing.
func quoted(s *string) string {
	if s == nil {
		return "missing"
	}
	return fmt.Sprintf("%q", *s)
}

func (w fileResult) checkNumbers() error {
	if len(w.Samples) == 0 {
		return errors.New("samples is missing or empty: a figure without samples is none, measure again")
	}
	if i := slices.Index(w.Samples, nil); i >= 0 {
		return fmt.Errorf("samples[%d] is null: it was not measured, measure again", i)
	}
	switch missing := "is missing or null: every result has median, low and high"; {
	case w.Median == nil:
		return errors.New("median " + missing)
	case w.Low == nil:
		return errors.New("low " + missing)
	case w.High == nil:
		return errors.New("high " + missing)
	}
	return nil
}

// checkSummary compares median and interval with the samples they are said to sum up.
func (r Result) checkSummary() error {
	const confidence = 0.95
	sample := benchmath.NewSample(slices.Clone(r.Samples), &benchmath.DefaultThresholds)
	median := benchmath.AssumeNothing.Summary(sample, confidence).Center
	if math.Abs(r.Median-median) > 1e-9*math.Abs(median) {
		return fmt.Errorf("median is %v, and that of the samples is %v: write the samples that belong to it", r.Median, median)
	}
	least, most := slices.Min(r.Samples), slices.Max(r.Samples)
	if !(least <= r.Low && r.Low <= r.Median && r.Median <= r.High && r.High <= most) {
		return fmt.Errorf("low %v, median %v, high %v do not lie in this order within the samples, %v to %v: write the interval of these samples",
			r.Low, r.Median, r.High, least, most)
	}
	return nil
}
