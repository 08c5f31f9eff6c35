package reports

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// axis is the parameter that a line runs along.
type axis struct {
	words string                // "services"
	at    func(float64) float64 // where a value stands on it
	label func(float64) string
	noted string // of the axis's scale: "logarithmic", or ""
}

// series is one line.
type series struct {
	value  string // of the parameter that tells lines apart
	name   string
	points []point
}

type point struct {
	x float64
	*Result
}

// fewPoints is the least number of values that make a line; fewer are bars.
const fewPoints = 3

// chartsOf lays out all results as plots, in the order in which their benchmarks first
// appear: what was measured along a number as lines, all else as bars.
func chartsOf(results *Results) (charts []chart) {
	kinds, members := kindsOf(results)
	for _, k := range kinds {
		sweeps, rest := sweepsOf(members[k])
		name := k.fileName(kinds)
		if len(rest) > 0 {
			bars := layOut(rest)
			bars.name = name
			charts = append(charts, bars)
		}
		for i := range sweeps {
			sweeps[i].name = name + "-by-" + sweeps[i].over
			if slices.ContainsFunc(sweeps[:i], func(o chart) bool { return o.name == sweeps[i].name }) {
				sweeps[i].name += fmt.Sprintf("-%d", i+1)
			}
		}
		charts = append(charts, sweeps...)
	}
	return charts
}

// sweepsOf makes charts of lines, and returns the results that are in none of them. The
// benchmarks that the verdict rests on keep their usual case among these.
func sweepsOf(results []*Result) (sweeps []chart, rest []*Result) {
	values := valuesOf(results)
	told := toldApartBy(values)
	swept := map[*Result]bool{}
	for _, param := range paramNames(values) {
		if param == told || !isSweep(param, results[0].Benchmark, values[param]) {
			continue
		}
		var keys []string
		strata := map[string][]*Result{}
		for _, r := range results {
			if _, ok := number(r.Params[param]); !ok {
				continue
			}
			key := nameOf(r.Params, param, told)
			if strata[key] == nil {
				keys = append(keys, key)
			}
			strata[key] = append(strata[key], r)
		}
		for _, key := range keys {
			c := linesOf(strata[key], param, told)
			least := fewPoints
			if param == quantile || param == results[0].Benchmark {
				least = 2
			}
			if !slices.ContainsFunc(c.lines, func(s series) bool { return len(s.points) >= least }) {
				continue
			}
			sweeps = append(sweeps, c)
			for _, r := range strata[key] {
				swept[r] = true
			}
		}
	}
	usual := usualCase(results)
	for _, r := range results {
		if !swept[r] || slices.Contains(usual, r) && (r.Benchmark == "pps" || r.Benchmark == "cost") {
			rest = append(rest, r)
		}
	}
	return sweeps, rest
}

// quantile is the parameter of a distribution: 50, 99, 99.9 percent of all that was measured.
const quantile = "quantile"

// isSweep tells whether a parameter is a number that lines can run along: two values do for
// the one that a benchmark is about. Offered loads are fixed, and stand side by side.
func isSweep(param, benchmark string, values []string) bool {
	if param == quantile || param == benchmark {
		return len(values) > 1
	}
	numbers := 0
	for _, value := range values {
		if _, ok := number(value); ok {
			numbers++
		}
	}
	return numbers >= fewPoints && param != "offered"
}

// number reads a value as one; a quantile is written as p99.9.
func number(text string) (float64, bool) {
	value, err := strconv.ParseFloat(strings.TrimPrefix(text, "p"), 64)
	return value, err == nil && !math.IsNaN(value) && !math.IsInf(value, 0)
}

// toldApartBy is the parameter whose values are lines: the datapath if there is one,
// else the first that varies and is no number.
func toldApartBy(values map[string][]string) string {
	if len(values["datapath"]) > 0 {
		return "datapath"
	}
	for _, param := range paramNames(values) {
		if _, ok := number(values[param][0]); !ok && len(values[param]) > 1 {
			return param
		}
	}
	return ""
}

// nameOf is the parameters in one line, those named left out.
func nameOf(params map[string]string, without ...string) string {
	var all []string
	for _, param := range paramNames(params) {
		if !slices.Contains(without, param) {
			all = append(all, phrase(param, params[param]))
		}
	}
	return strings.Join(all, " · ")
}

// linesOf lays out results along a parameter.
func linesOf(results []*Result, param, told string) chart {
	c := chart{of: results[0].Benchmark, benchmark: benchmarkIn(results[0].Benchmark, results[0].Unit), unit: unitOf(results[0].Unit), over: param}
	values := valuesOf(results)
	for _, name := range paramNames(values) {
		if name != param && name != told || name == told && len(values[name]) == 1 {
			c.shared = append(c.shared, phrase(name, values[name][0]))
		}
	}
	least, most := math.Inf(1), math.Inf(-1)
	for _, r := range results {
		x, _ := number(r.Params[param])
		least, most = min(least, x), max(most, x)
		c.addPoint(r.Params[told], cmp.Or(barName(told, r), c.benchmark.title), point{x, r})
	}
	slices.SortStableFunc(c.lines, func(a, b series) int { return compareValues(a.value, b.value) })
	c.axis = axisOf(param, least, most)
	return c
}

func (c *chart) addPoint(value, name string, p point) {
	i := slices.IndexFunc(c.lines, func(s series) bool { return s.value == value })
	if i < 0 {
		i = len(c.lines)
		c.lines = append(c.lines, series{value: value, name: name})
	}
	line := &c.lines[i]
	line.points = append(line.points, p)
	slices.SortStableFunc(line.points, func(a, b point) int { return cmp.Compare(a.x, b.x) })
}

// axisOf chooses the scale: quantiles by the nines, values that span far by their
// logarithm, all else as they are.
func axisOf(param string, least, most float64) *axis {
	a := &axis{words: axisWords(param), at: func(x float64) float64 { return x }, label: func(x float64) string { return grouped(x, decimalsOf(x)) }}
	switch {
	case param == quantile:
		a.at = func(percent float64) float64 { return -math.Log10(max(1-percent/100, 1e-9)) }
		a.label = func(percent float64) string { return grouped(percent, decimalsOf(percent)) + " %" }
		a.noted = "each nine as wide as the one before"
	case least > 0 && most/least > 20:
		a.at, a.noted = math.Log10, "logarithmic"
	}
	return a
}

// decimalsOf is how many a number has, six at most.
func decimalsOf(x float64) int {
	_, fraction, _ := strings.Cut(strconv.FormatFloat(x, 'f', -1, 64), ".")
	return min(len(fraction), 6)
}

// axisWords names a parameter on an axis.
func axisWords(param string) string {
	switch param {
	case "size":
		return "bytes per packet"
	case quantile:
		return "percentile"
	}
	return strings.ReplaceAll(param, "-", " ")
}

// usual is the case that verdicts and the articles' figures are about.
var usual = map[string]string{
	"mode": "inline", "family": "ipv4", "size": "64", "services": "1", "backend": "remote", "flows": "1024", "backends": "1",
}

// usualCase are the results of one choice of parameters, the datapath and the offered
// load left open: the one that has most of the usual case.
func usualCase(results []*Result) []*Result {
	score := func(r *Result) (n int) {
		for param, value := range usual {
			if r.Params[param] == value {
				n++
			}
		}
		return n
	}
	of := func(r *Result) map[string]string {
		params := maps.Clone(r.Params)
		delete(params, "datapath")
		delete(params, "offered")
		return params
	}
	var best *Result
	for _, r := range results {
		if r.Params["datapath"] != emptyPath && (best == nil || score(r) > score(best)) {
			best = r
		}
	}
	if best == nil {
		return results
	}
	return slices.DeleteFunc(slices.Clone(results), func(r *Result) bool { return !maps.Equal(of(r), of(best)) })
}
