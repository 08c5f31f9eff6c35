package reports

import (
	"cmp"
	"iter"
	"slices"
	"strings"
)

// chart is results of one benchmark in one unit, laid out as bars or as lines. The
// bars stand for the parameter that varies, the datapath before any other; where more
// than one varies, the bars come in groups.
type chart struct {
	name      string // of its files, without the extension
	of        string // the benchmark, as results.json calls it
	benchmark benchmark
	unit      unit
	over      string   // the parameter that the bars stand for, "" when none varies
	shared    []string // phrases that hold for every bar: "64 bytes"
	groups    []group

	axis  *axis // of lines, nil for bars
	lines []series
}

// group is the bars whose other parameters are the same.
type group struct {
	name string // "IPv6 · 64 bytes"; "" when it is the only one
	bars []bar
}

type bar struct {
	value string // of the parameter that the bars stand for
	name  string
	*Result
}

// kind is what results must share to stand in one chart.
type kind struct{ benchmark, unit string }

// kindsOf sorts results by kind, in the order in which these first appear.
func kindsOf(results *Results) (kinds []kind, members map[kind][]*Result) {
	members = map[kind][]*Result{}
	for i := range results.Results {
		r := &results.Results[i]
		k := kind{r.Benchmark, r.Unit}
		if members[k] == nil {
			kinds = append(kinds, k)
		}
		members[k] = append(members[k], r)
	}
	return kinds, members
}

// fileName is what the files of a kind are called: "pps", or "cpu-percent" where a
// benchmark has more than one unit.
func (k kind) fileName(kinds []kind) string {
	if slices.ContainsFunc(kinds, func(o kind) bool { return o.benchmark == k.benchmark && o != k }) {
		return k.benchmark + "-" + fileName(k.unit)
	}
	return k.benchmark
}

// barsOf lays out all results as bars, each kind in a chart: the form of the table.
func barsOf(results *Results) (charts []chart) {
	kinds, members := kindsOf(results)
	for _, k := range kinds {
		c := layOut(members[k])
		c.name = k.fileName(kinds)
		charts = append(charts, c)
	}
	return charts
}

// fileName makes a unit part of a file's name: "ns-per-packet".
func fileName(unit string) string {
	return strings.NewReplacer("/", "-per-", "%", "percent").Replace(unit)
}

// layOut arranges the results of one benchmark and unit.
func layOut(results []*Result) chart {
	c := chart{of: results[0].Benchmark, benchmark: benchmarkIn(results[0].Benchmark, results[0].Unit), unit: unitOf(results[0].Unit)}
	var varying []string
	values := valuesOf(results)
	for _, param := range paramNames(values) {
		if len(values[param]) > 1 {
			varying = append(varying, param)
		} else {
			c.shared = append(c.shared, phrase(param, values[param][0]))
		}
	}
	c.over, varying = takeBars(varying, values)

	slices.SortStableFunc(results, func(a, b *Result) int {
		for _, param := range append(slices.Clone(varying), c.over) {
			if order := compareValues(a.Params[param], b.Params[param]); order != 0 {
				return order
			}
		}
		return 0
	})
	for _, r := range results {
		c.add(groupName(r, varying), bar{
			value:  r.Params[c.over],
			name:   cmp.Or(barName(c.over, r), c.benchmark.title),
			Result: r,
		})
	}
	return c
}

// valuesOf lists the values of every parameter; "" stands for a result without it.
func valuesOf(results []*Result) map[string][]string {
	values := map[string][]string{}
	for _, r := range results {
		for param := range r.Params {
			values[param] = nil
		}
	}
	for param := range values {
		for _, r := range results {
			if value := r.Params[param]; !slices.Contains(values[param], value) {
				values[param] = append(values[param], value)
			}
		}
	}
	return values
}

// program is the parameter of benchmarks of programs by themselves.
const program = "program"

// takeBars picks the parameter that the bars stand for and returns the others.
func takeBars(varying []string, values map[string][]string) (over string, others []string) {
	if len(varying) == 0 {
		return "", nil
	}
	// A program belongs to one datapath, which so says nothing more.
	for _, param := range []string{"case", program} {
		if len(values[program]) > 1 && slices.Contains(varying, param) {
			return param, slices.DeleteFunc(varying, func(other string) bool { return other == param || other == "datapath" })
		}
	}
	most := varying[0]
	for _, param := range varying {
		if most != "datapath" && len(values[param]) > len(values[most]) {
			most = param
		}
	}
	return most, slices.DeleteFunc(varying, func(param string) bool { return param == most })
}

func barName(over string, r *Result) string {
	value, there := r.Params[over]
	if !there {
		return ""
	}
	return phrase(over, value)
}

func groupName(r *Result, params []string) string {
	var phrases []string
	for _, param := range params {
		if value, there := r.Params[param]; there {
			phrases = append(phrases, phrase(param, value))
		}
	}
	return strings.Join(phrases, " · ")
}

// add puts b into the last group if that has this name, else into a new one.
func (c *chart) add(name string, b bar) {
	if n := len(c.groups); n == 0 || c.groups[n-1].name != name {
		c.groups = append(c.groups, group{name: name})
	}
	last := &c.groups[len(c.groups)-1]
	last.bars = append(last.bars, b)
}

// title says what the plot shows.
func (c chart) title() string {
	if c.axis != nil {
		words := c.benchmark.brief()
		if c.axis.words == nightAxis {
			words += ", night by night"
		} else if !strings.HasSuffix(words, " against "+c.axis.words) {
			words += " against " + c.axis.words
		}
		return capital(words)
	}
	if c.over == "" || c.over == "datapath" || c.over == program || c.over == "case" {
		if titleStyle.Width(c.benchmark.title) > contentWidth {
			return capital(c.benchmark.brief())
		}
		return c.benchmark.title
	}
	return c.benchmark.title + " by " + c.over
}

// baseline is the bar that the others of its group are measured against, if
// there is one.
func (g group) baseline() (bar, bool) {
	i := slices.IndexFunc(g.bars, func(b bar) bool { return b.value == baseline })
	if i < 0 {
		return bar{}, false
	}
	return g.bars[i], true
}

// bars yields the bars of all groups.
func (c chart) bars() iter.Seq[bar] {
	return func(yield func(bar) bool) {
		for _, g := range c.groups {
			for _, b := range g.bars {
				if !yield(b) {
					return
				}
			}
		}
	}
}

// extent is the range of all figures with their intervals, and holds zero,
// where bars begin.
func (c chart) extent() (least, most float64) {
	for b := range c.bars() {
		least, most = min(least, b.Low), max(most, b.High)
	}
	return least, most
}
