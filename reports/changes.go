package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// What a change must be to count: so sure, and so large. Exact counts count at once.
const (
	significance = 0.01
	noticeable   = 0.05
)

// Outcome is what can be said about a benchmark after two runs.
type Outcome string

// The outcomes.
const (
	Regressed Outcome = "regressed"
	Improved  Outcome = "improved"
	Unchanged Outcome = "unchanged"    // the change, whatever it is, is less than what counts
	Undecided Outcome = "inconclusive" // too few samples, or too far apart, to say
	Unjudged  Outcome = "not judged"   // what others are compared beside: the machine's own speed
	Added     Outcome = "added"        // only the new run has it
	Removed   Outcome = "removed"      // only the old run has it
)

// Change is what became of one benchmark at one choice of its parameters.
type Change struct {
	Name     string  // as in benchmark text: PPS/datapath=xdp/size=64
	Old, New *Result // nil: that run does not have it

	// Beside is set when Effect, its bounds and P are those of the figures as multiples of
	// what the empty path had in the same rounds.
	Beside bool

	// Effect is by how much the median changed: 0.05 is 5 % more. Low and High bound it,
	// with a confidence of 95 %.
	Effect, Low, High float64

	// P is the probability that samples of one and the same distribution lie this
	// far apart (Mann-Whitney U test, two-sided). Where both runs have enough laps, it is of
	// their medians, and so are the bounds.
	P float64

	// Paired is set when the runs were measured side by side: the rounds of one are held against
	// those of the other one by one, Effect is the laps' mean, and P is that of Student's t test
	// for pairs, of the logarithms of the laps' ratios.
	Paired bool

	Outcome Outcome
	Why     string // of an outcome that says nothing
}

// Unit is that of the benchmark.
func (c Change) Unit() string {
	if c.New == nil {
		return c.Old.Unit
	}
	return c.New.Unit
}

// Compare tells what changed from an old run to a new one: the new run's
// benchmarks in their order, then those that are gone. A run that says of itself
// that it cannot be trusted decides nothing, and neither do runs on different CPUs.
func Compare(old, new *Results) []Change {
	why, method := incomparable(old, new), otherMethod(old, new)
	steady, paired := otherYardstick(old, new) == "", sideBySide(old, new)
	var changes []Change
	for i := range new.Results {
		r := &new.Results[i]
		c := Change{Name: r.goName(), New: r, Old: old.find(r), P: 1}
		c.Beside = steady && c.Old != nil && len(c.Old.Empty) > 0 && len(c.New.Empty) > 0
		c.Paired = paired && c.Old != nil && c.Old.isLapped() && c.Old.Laps == c.New.Laps && len(c.Old.Samples) == len(c.New.Samples)
		switch {
		case c.Old == nil:
			c.Outcome = Added
		case why != "":
			c.measure()
			c.Outcome, c.Why = Undecided, why
		case method != "" && !unitOf(r.Unit).isCount():
			c.measure()
			c.Outcome, c.Why = Undecided, method
		default:
			c.judge()
		}
		changes = append(changes, c)
	}
	if slices.ContainsFunc(changes, func(c Change) bool { return c.Beside }) {
		changes = leaveYardsticks(changes)
	}
	for i := range old.Results {
		if r := &old.Results[i]; new.find(r) == nil {
			changes = append(changes, gone(r, new))
		}
	}
	return changes
}

// leaveYardsticks does not judge the empty path and the generator: others are compared
// beside them, and what becomes of them is the machine's doing.
func leaveYardsticks(changes []Change) []Change {
	for i := range changes {
		if c := &changes[i]; c.New.isYardstick() && c.Outcome != Added && (c.Why == "" || c.Why == tooFarApart) {
			c.Outcome, c.Why = Unjudged, "this is the machine's own speed, beside which the datapaths are compared"
		}
	}
	return changes
}

// gone is what becomes of a result that the new run does not have. Nothing can be
// said of one that may have stood where the new run's file could not be read.
func gone(r *Result, new *Results) Change {
	c := Change{Name: r.goName(), Old: r, P: 1, Outcome: Removed, Why: "the new run does not have it"}
	for _, m := range new.Absent {
		if m.Benchmark == r.Benchmark && contains(r.Params, m.Params) {
			c.Why = m.Reason
		}
	}
	if len(new.Problems) > 0 {
		c.Outcome, c.Why = Undecided, "the new run does not have it, and not all of its file can be read"
	}
	return c
}

// contains tells whether params has all of part.
func contains(params, part map[string]string) bool {
	for name, value := range part {
		if params[name] != value {
			return false
		}
	}
	return true
}

// incomparable says why no figure of one run says anything about the other's, or "".
func incomparable(old, new *Results) string {
	for _, run := range []struct {
		name string
		*Results
	}{{"new", new}, {"old", old}} {
		if reason := run.untrusted(); reason != "" {
			first, _, _ := strings.Cut(reason, "; ")
			return fmt.Sprintf("the %s run is not to be trusted: %s", run.name, first)
		}
	}
	return differentMachine(old, new)
}

// otherMethod says how the ways differ in which two runs took their samples, or "". Counts do
// not depend on it.
func otherMethod(old, new *Results) string {
	before, now := old.Environment["sampling"], new.Environment["sampling"]
	if before == now {
		return ""
	}
	return fmt.Sprintf("the runs were not measured the same way: the old one took %s, the new one %s",
		cmp.Or(before, "samples of another kind"), cmp.Or(now, "samples of another kind"))
}

// differentMachine says in what the machines of two runs differ, or "".
func differentMachine(old, new *Results) string {
	for _, key := range []string{"cpu", "cpus", "goarch"} {
		if a, b := old.Environment[key], new.Environment[key]; a != b {
			return fmt.Sprintf("the runs are from different machines: %s is %q in the old and %q in the new", key, a, b)
		}
	}
	return ""
}

// untrusted says why a run's figures are not to be believed, or "".
func (r *Results) untrusted() string {
	if reason := r.Environment["untrusted"]; reason != "" {
		return reason
	}
	for _, c := range r.Checks {
		if !c.Passed {
			return c.Says
		}
	}
	return ""
}

// find is the result of the same benchmark, parameters and unit; nil if there is none.
func (r *Results) find(like *Result) *Result {
	i := slices.IndexFunc(r.Results, func(other Result) bool {
		return other.Unit == like.Unit && other.goName() == like.goName()
	})
	if i < 0 {
		return nil
	}
	return &r.Results[i]
}

// measure fills in effect, interval and P. It returns false when there is no
// ratio: a figure is not clear of zero.
func (c *Change) measure() bool {
	old, new := c.Old.summary(c.Beside), c.New.summary(c.Beside)
	if old.Lo <= 0 || new.Lo <= 0 {
		return false
	}
	before, after := c.Old.values(c.Beside), c.New.values(c.Beside)
	if c.Paired {
		return c.measurePairs(before, after)
	}
	if c.Old.isLapped() && c.New.isLapped() {
		before, after = c.Old.medians(before), c.New.medians(after)
	}
	c.Effect = new.Center/old.Center - 1
	c.Low, c.High = allowed(before, after)
	c.Low, c.High = min(c.Low, c.Effect), max(c.High, c.Effect) // medians of lopsided samples may lie outside
	c.High = min(c.High, slices.Max(after)/old.Lo-1)            // where many old samples are no more than zero
	c.P = alikeness(before, after)
	return true
}

// tooFarApart is why figures with enough samples are inconclusive.
const tooFarApart = "the samples lie too far apart"

// judge decides the outcome.
func (c *Change) judge() {
	if unitOf(c.New.Unit).isCount() {
		c.judgeCount()
		return
	}
	switch {
	case len(c.Old.Samples) < fewSamples || len(c.New.Samples) < fewSamples:
		c.measure()
		c.Outcome, c.Why = Undecided, fmt.Sprintf("fewer than %d samples", fewSamples)
	case !c.measure():
		c.Outcome, c.Why = Undecided, "a figure is not clear of zero"
	case c.disturbed() != "":
		c.Outcome, c.Why = Undecided, c.disturbed()
	case c.P < significance && (c.Effect > noticeable || c.Effect < -noticeable):
		c.Outcome = c.direction(c.Effect > 0)
	case -noticeable < c.Low && c.High < noticeable:
		c.Outcome = Unchanged
	default:
		c.Outcome, c.Why = Undecided, tooFarApart
	}
}

// judgeCount is for what is counted and not timed: any change counts.
func (c *Change) judgeCount() {
	for _, r := range []*Result{c.Old, c.New} {
		if slices.Min(r.Samples) != slices.Max(r.Samples) {
			c.Outcome, c.Why = Undecided, "the counts of one run differ"
			return
		}
	}
	if c.Old.Median == c.New.Median {
		c.P, c.Outcome = 1, Unchanged
		return
	}
	if c.P = 0; c.Old.Median != 0 {
		c.Effect = c.New.Median/c.Old.Median - 1
		c.Low, c.High = c.Effect, c.Effect
	}
	c.Outcome = c.direction(c.New.Median > c.Old.Median)
}

func (c *Change) direction(grew bool) Outcome {
	if grew == unitOf(c.New.Unit).isRate() {
		return Improved
	}
	return Regressed
}

// Confirm takes back those regressions that a repetition of the new run does not
// show: what a machine does once is no change of the datapath.
func Confirm(changes, repeated []Change) []Change {
	confirmed := slices.Clone(changes)
	for i := range confirmed {
		c := &confirmed[i]
		again := slices.IndexFunc(repeated, func(r Change) bool { return r.Name == c.Name && r.Unit() == c.Unit() })
		if c.Outcome == Regressed && (again < 0 || repeated[again].Outcome != Regressed) {
			c.Outcome, c.Why = Undecided, "a repetition does not show it"
		}
	}
	return confirmed
}

// Regressions are the changes for the worse.
func Regressions(changes []Change) []Change {
	return slices.DeleteFunc(slices.Clone(changes), func(c Change) bool { return c.Outcome != Regressed })
}
