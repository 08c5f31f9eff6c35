package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// fewSamples is the least number of samples whose median has an interval of 95 %.
const fewSamples = 6

// verdict is the run in one sentence: how the first datapath of the order XDP,
// TC, … does beside iptables in the usual case. It claims no difference that the
// intervals do not bear out.
func verdict(results *Results) string {
	var clauses []string
	kinds, members := kindsOf(results)
	for _, k := range kinds {
		all := layOut(usualCase(members[k])).compare()
		if len(all) == 0 {
			continue
		}
		switch k {
		case kind{"pps", "packets/s"}:
			clauses = append(clauses, rateClause(all[0]))
		case kind{"cost", "ns/packet"}:
			clauses = append(clauses, costClause(all[0]))
		}
	}
	if len(clauses) == 0 {
		return "No verdict: these results do not set a datapath beside iptables."
	}
	sentence := strings.Join(clauses, "; ") + "."
	return strings.ToUpper(sentence[:1]) + sentence[1:]
}

func rateClause(a against) string {
	switch a.outcome {
	case better:
		return fmt.Sprintf("%s forwards %s times what iptables does", a.name, a.times())
	case worse:
		return fmt.Sprintf("%s forwards only %s times what iptables does", a.name, a.times())
	case alike:
		return fmt.Sprintf("%s and iptables forward so alike that this run cannot tell them apart", a.name)
	case mixed:
		return fmt.Sprintf("whether %s forwards more than iptables depends on the case", a.name)
	default:
		return fmt.Sprintf("%s and iptables cannot be compared: a rate is not clear of zero", a.name)
	}
}

func costClause(a against) string {
	switch a.outcome {
	case better:
		return fmt.Sprintf("the %s datapath alone costs %s times less per packet than iptables", a.name, a.times())
	case worse:
		return fmt.Sprintf("the %s datapath alone costs %s times as much per packet as iptables", a.name, a.timesWorse())
	case alike:
		return fmt.Sprintf("what the %s datapath alone costs per packet cannot be told from iptables", a.name)
	case mixed:
		return fmt.Sprintf("whether the %s datapath alone costs less per packet than iptables depends on the case", a.name)
	default:
		return fmt.Sprintf("what the %s datapath alone costs per packet is not clear of zero", a.name)
	}
}

// finding says in one sentence what the plot of c shows.
func (c chart) finding() string {
	direction := "less is better"
	if c.unit.isRate() {
		direction = "more is better"
	}
	if c.axis != nil {
		return fmt.Sprintf("%s: %s; %s.", c.stretch(), c.course(), direction)
	}
	if all := c.compare(); len(all) > 0 {
		var clauses []string
		for _, a := range all {
			clauses = append(clauses, a.name+" "+c.clause(a.comparison))
		}
		return fmt.Sprintf("Measured against iptables: %s; %s.", strings.Join(clauses, ", "), direction)
	}
	least, most := c.extremes()
	scale := scaleOf(0, c.unit)
	if least.Result == most.Result {
		return fmt.Sprintf("%s %s; %s.", scale.format(least.Median), c.unit.words, direction)
	}
	return fmt.Sprintf("%s to %s %s, least with %s and most with %s; %s.",
		scale.format(least.Median), scale.format(most.Median), c.unit.words, least.name, most.name, direction)
}

func (c chart) clause(of comparison) string {
	switch {
	case of.outcome == alike:
		return "about the same"
	case of.outcome == mixed:
		return "now more, now less"
	case of.outcome == unclear:
		return "too close to zero to compare"
	case c.unit.isRate():
		return of.times() + " times as much"
	case of.outcome == better:
		return of.times() + " times less"
	default:
		return of.timesWorse() + " times as much"
	}
}

// extremes are the bars with the smallest and the largest median.
func (c chart) extremes() (least, most bar) {
	bars := slices.Collect(c.bars())
	byMedian := func(a, b bar) int { return cmp.Compare(a.Median, b.Median) }
	return slices.MinFunc(bars, byMedian), slices.MaxFunc(bars, byMedian)
}
