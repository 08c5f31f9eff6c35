package reports

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
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

// checkEntry says what is wrong with a line of an environment.
func checkEntry(key, value string) error {
	if !environmentKeyPattern.MatchString(key) {
		return fmt.Errorf("environment has the key %q: begin with a small letter and use only small letters, digits and . _ -", key)
	}
	if !lineOfTextPattern.MatchString(value) {
		return fmt.Errorf("environment.%s is %q: write one line of text", key, value)
	}
	if key == "cpus" && !countPattern.MatchString(value) {
		return fmt.Errorf("environment.cpus is %q: write how many there are, as digits", value)
	}
	if key == "time" {
		if _, err := time.Parse(time.RFC3339, value); err != nil {
			return fmt.Errorf("environment.time is %q: write it as in 2026-01-31T23:59:00Z", value)
		}
	}
	return nil
}

// checkEnvironment complains of what is missing.
func (f *jsonFile) checkEnvironment() {
	for _, key := range environmentKeys {
		said := slices.ContainsFunc(f.Problems, func(p Problem) bool { return strings.HasPrefix(p.Text, "environment."+key+" ") })
		if _, there := f.Environment[key]; !there && !said {
			f.complain(f.path, 0, "environment.%s is missing: say where and when the figures were measured", key)
		}
	}
	if f.Environment == nil {
		f.Environment = map[string]string{}
	}
}

func (c Check) check() error {
	if !namePattern.MatchString(c.Name) {
		return fmt.Errorf("the check's name is %q: begin with a small letter and use only small letters, digits and -", c.Name)
	}
	if !lineOfTextPattern.MatchString(c.Says) {
		return fmt.Errorf("says of the check %s is %q: write one line of text", c.Name, c.Says)
	}
	return nil
}

func (a Absence) check() error {
	if err := (fileResult{Benchmark: &a.Benchmark, Params: a.Params, Unit: new("s")}).checkWords(); err != nil {
		return err
	}
	if !lineOfTextPattern.MatchString(a.Reason) {
		return fmt.Errorf("reason is %q: write one line of text", a.Reason)
	}
	return nil
}

// check turns one result as written into one that can be trusted. Its error
// begins with the name of the field.
func (w fileResult) check() (Result, error) {
	if err := cmp.Or(w.checkWords(), w.checkNumbers()); err != nil {
		return Result{}, err
	}
	r := Result{
		Benchmark: *w.Benchmark, Params: w.Params, Unit: *w.Unit, Laps: 1,
		Median: *w.Median, Low: *w.Low, High: *w.High,
	}
	if w.Laps != nil {
		r.Laps = *w.Laps
	}
	for _, sample := range w.Samples {
		r.Samples = append(r.Samples, *sample)
	}
	for _, empty := range w.Empty {
		r.Empty = append(r.Empty, *empty)
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
	if w.Laps != nil && (*w.Laps < 1 || len(w.Samples)%*w.Laps != 0) {
		return fmt.Errorf("laps is %d, and there are %d samples: each lap has as many as the others", *w.Laps, len(w.Samples))
	}
	if err := w.checkEmpty(); err != nil {
		return err
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

// checkEmpty says what is wrong with what the empty path had, by which samples are divided.
func (w fileResult) checkEmpty() error {
	if len(w.Empty) > 0 && len(w.Empty) != len(w.Samples) {
		return fmt.Errorf("empty has %d figures, and there are %d samples: write one for each sample, or leave it away", len(w.Empty), len(w.Samples))
	}
	for i, empty := range w.Empty {
		if empty == nil || *empty <= 0 {
			return fmt.Errorf("empty[%d] is not above zero: the empty path was not measured, leave empty away", i)
		}
	}
	return nil
}

// checkSummary compares median and interval with the samples they are said to sum up.
func (r Result) checkSummary() error {
	median := summaryOf(slices.Clone(r.Samples)).Center
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

// confidence is that of every interval.
const confidence = 0.95

// summaryOf is median and interval of samples, which it sorts.
func summaryOf(samples []float64) benchmath.Summary {
	return benchmath.AssumeNothing.Summary(benchmath.NewSample(samples, &benchmath.DefaultThresholds), confidence)
}
