package reports

// outcome is what can be said about two figures and their intervals.
type outcome int

const (
	better  outcome = iota
	worse           // than the baseline
	alike           // the intervals overlap: the run cannot tell them apart
	unclear         // no ratio: a figure is not clear of zero
	mixed           // now one, now another
)

// comparison is one datapath against the baseline.
type comparison struct {
	outcome outcome

	// low and high are the ratio of the medians, the same unless there are several
	// groups. Above 1 is better: so many times the rate, or so many times less.
	low, high float64
}

// compare measures one bar against its baseline.
func (u unit) compare(b, base bar) comparison {
	if b.Low <= 0 || base.Low <= 0 {
		return comparison{outcome: unclear}
	}
	ratio := b.Median / base.Median
	if !u.isRate() {
		ratio = 1 / ratio
	}
	switch {
	case b.Low <= base.High && base.Low <= b.High:
		return comparison{alike, ratio, ratio}
	case ratio > 1:
		return comparison{better, ratio, ratio}
	default:
		return comparison{worse, ratio, ratio}
	}
}

// with joins the comparisons of two groups.
func (c comparison) with(other comparison) comparison {
	joined := comparison{c.outcome, min(c.low, other.low), max(c.high, other.high)}
	if c.outcome != other.outcome {
		joined.outcome = mixed
	}
	return joined
}

// against is how one datapath compares with the baseline over all groups of a
// chart that have both.
type against struct {
	name  string // of the datapath
	value string // likewise, in params
	comparison
}

// compare measures every datapath against the baseline, in the order of the
// bars. The empty path is no datapath.
func (c chart) compare() (all []against) {
	places := map[string]int{}
	for _, g := range c.groups {
		base, there := g.baseline()
		if !there || c.over != "datapath" {
			continue
		}
		for _, b := range g.bars {
			if b.value == baseline || b.value == emptyPath {
				continue
			}
			one := c.unit.compare(b, base)
			if i, seen := places[b.value]; seen {
				all[i].comparison = all[i].with(one)
				continue
			}
			places[b.value] = len(all)
			all = append(all, against{b.name, b.value, one})
		}
	}
	return all
}

// times writes the ratio, or its range over several groups: "2.1" or "1.9 to 2.3".
func (c comparison) times() string { return between(c.low, c.high) }

// timesWorse is the ratio the other way round, for what takes more than the baseline.
func (c comparison) timesWorse() string { return between(1/c.high, 1/c.low) }

func between(low, high float64) string {
	if times(low) == times(high) {
		return times(low)
	}
	return times(low) + " to " + times(high)
}
