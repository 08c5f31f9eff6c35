package reports

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// pastNights is how many earlier runs a trend goes back.
const pastNights = 60

// nightAxis is what trends run along.
const nightAxis = "nights"

// timeOf is when a run was, or the beginning of time.
func timeOf(r *Results) time.Time {
	at, _ := time.Parse(time.RFC3339, r.Environment["time"])
	return at
}

// trends draws the usual case of each benchmark over past runs and this one. Runs
// that cannot be trusted, and those of other machines, are left out.
func (r *Report) trends() (charts []chart) {
	var nights []*Results
	for _, past := range r.Past {
		if incomparable(past, r.Results) == "" && past.Environment["time"] != "" {
			nights = append(nights, past)
		}
	}
	if len(nights) == 0 {
		return nil
	}
	nights = append(nights[max(0, len(nights)-pastNights):], r.Results)
	kinds, members := kindsOf(r.Results)
	for _, k := range kinds {
		told := toldApartBy(valuesOf(members[k]))
		c := chart{name: "trend-" + k.fileName(kinds), benchmark: benchmarkIn(k.benchmark, k.unit), unit: unitOf(k.unit)}
		case_ := trendCase(members[k])
		for _, like := range case_ {
			for _, night := range nights {
				if found := night.find(like); found != nil {
					c.addPoint(like.Params[told], cmp.Or(barName(told, like), c.benchmark.title), point{days(timeOf(night)), found})
				}
			}
		}
		if !slices.ContainsFunc(c.lines, func(s series) bool { return len(s.points) > 1 }) {
			continue
		}
		slices.SortStableFunc(c.lines, func(a, b series) int { return compareValues(a.value, b.value) })
		if shared := nameOf(case_[0].Params, told); shared != "" {
			c.shared = strings.Split(shared, " · ")
		}
		c.axis = &axis{words: nightAxis, at: func(x float64) float64 { return x }, label: dayLabel}
		charts = append(charts, c)
	}
	return charts
}

// trendCase is the usual case at one load and one quantile.
func trendCase(results []*Result) []*Result {
	all := usualCase(results)
	told := toldApartBy(valuesOf(results))
	first := all[len(all)-1]
	return slices.DeleteFunc(slices.Clone(all), func(r *Result) bool {
		return !sameBut(r.Params, first.Params, told)
	})
}

// days counts them from 1970.
func days(at time.Time) float64 { return float64(at.Unix()) / 86400 }

func dayLabel(x float64) string {
	return time.Unix(int64(math.Round(x*86400)), 0).UTC().Format("01-02")
}

// career says in one sentence how a figure did over the nights.
func (c chart) career() string {
	var clauses []string
	nights := 0
	for _, s := range c.lines {
		nights = max(nights, len(s.points))
		last := s.points[len(s.points)-1]
		clause := s.name + " " + c.value(last.Median) + " now"
		if before := s.points[:len(s.points)-1]; len(before) > 0 {
			byMedian := func(a, b point) int { return cmp.Compare(a.Median, b.Median) }
			clause += ", " + c.value(slices.MinFunc(before, byMedian).Median) + " to " + c.value(slices.MaxFunc(before, byMedian).Median) + " before"
		}
		clauses = append(clauses, clause)
	}
	return fmt.Sprintf("Over %d runs: %s.", nights, strings.Join(clauses, "; "))
}
