package reports

import (
	"fmt"
	"slices"

	"golang.org/x/perf/benchmath"
)

// A machine is not always equally fast: another guest on the same processor may slow all that
// a run measures by some percent. The empty path is measured in the same rounds as the
// datapaths and slowed down alike, so two runs are compared by what a figure is as a multiple
// of the empty path's in its own round.

// yardstick is what must be the same in two runs' environments, or an empty path that takes
// longer says nothing of the machine's speed: it may be another empty path.
var yardstick = []string{"kernel", "kernel-config", "mitigations", "wire"}

// otherYardstick names what is not the same, or "".
func otherYardstick(old, new *Results) string {
	for _, key := range yardstick {
		if old.Environment[key] != new.Environment[key] {
			return key
		}
	}
	return ""
}

// multiples are the samples as multiples of the empty path's; none when it was not measured
// beside.
func (r *Result) multiples() (all []float64) {
	for i, empty := range r.Empty {
		all = append(all, r.Samples[i]/empty)
	}
	return all
}

// summary is median and interval of the result, as they are or beside the empty path.
func (r *Result) summary(beside bool) benchmath.Summary {
	if !beside {
		return benchmath.Summary{Center: r.Median, Lo: r.Low, Hi: r.High}
	}
	return r.sumUp(r.multiples())
}

// values are the samples, as they are or beside the empty path.
func (r *Result) values(beside bool) []float64 {
	if beside {
		return r.multiples()
	}
	return r.Samples
}

// mostApart is how much faster or slower the machine may be from run to run. What disturbs it
// more, such as another guest that takes the processor's caches, does not slow all that is done
// for a packet alike, and the empty path is no measure of it.
const mostApart = 0.10

// disturbed says that the machine was another one, by the empty path beside the figure, or "".
func (c *Change) disturbed() string {
	if !c.Beside {
		return ""
	}
	ratio := summaryOf(slices.Clone(c.New.Empty)).Center / summaryOf(slices.Clone(c.Old.Empty)).Center
	if 1/(1+mostApart) <= ratio && ratio <= 1+mostApart {
		return ""
	}
	return fmt.Sprintf("the empty path beside it is %s times what it was: the machine was disturbed in one of the runs", significant(ratio, 3))
}

// isYardstick tells whether a result is what others are measured by, and not a datapath's.
func (r *Result) isYardstick() bool {
	return r.Params["datapath"] == emptyPath || r.Benchmark == "generator"
}

// besides writes both medians as multiples of the empty path's: "1.30 → 1.34".
func (c Change) besides() string {
	if !c.Beside {
		return ""
	}
	return significant(c.Old.summary(true).Center, 3) + " → " + significant(c.New.summary(true).Center, 3)
}

// beside writes the median as a multiple of the empty path's: "1.30 (1.29 to 1.31)", or "".
func (r *Result) beside() string {
	if len(r.Empty) == 0 {
		return ""
	}
	s := r.summary(true)
	return fmt.Sprintf("%s (%s to %s)", significant(s.Center, 3), significant(s.Lo, 3), significant(s.Hi, 3))
}

// basis says in a sentence what the figures were compared by, or "" when no empty path was
// measured beside them in both runs.
func (d *Diff) basis() string {
	has := func(r Result) bool { return len(r.Empty) > 0 }
	if !slices.ContainsFunc(d.Old.Results, has) || !slices.ContainsFunc(d.New.Results, has) {
		return ""
	}
	if key := otherYardstick(d.Old, d.New); key != "" {
		return fmt.Sprintf("The figures are compared as they are, and not beside the empty path, since that is another one: %s is not the same in both runs.", key)
	}
	beside := 0
	for _, c := range d.Changes {
		if c.Beside {
			beside++
		}
	}
	return fmt.Sprintf("Of %s, %d are compared as multiples of what the empty path had in the same rounds, so that the machine's own speed cancels%s.",
		figures(len(d.Changes)), beside, d.speed())
}

// speed says how fast the machine was, by the rate of the empty path, or "".
func (d *Diff) speed() string {
	i := slices.IndexFunc(d.Changes, func(c Change) bool {
		return c.Old != nil && c.New != nil && c.New.Benchmark == "pps" && c.New.Params["datapath"] == emptyPath && c.New.Params["mode"] != "split"
	})
	if i < 0 {
		return ""
	}
	switch effect := d.Changes[i].New.Median/d.Changes[i].Old.Median - 1; {
	case effect < -0.0005:
		return fmt.Sprintf(": it was %s %% slower than in the old run", significant(-100*effect, 2))
	case effect > 0.0005:
		return fmt.Sprintf(": it was %s %% faster than in the old run", significant(100*effect, 2))
	default:
		return ": it was as fast as in the old run"
	}
}
