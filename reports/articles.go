package reports

import (
	"fmt"
	"maps"
	"slices"
)

// published are the rates of the articles that this bench is to reproduce in shape: two
// physical machines, one service, forwarded to a backend on another node. Packets/s.
var published = []struct {
	datapath string
	rate     float64
}{{"xdp", 10e6}, {"tc", 3.5e6}, {baseline, 2.3e6}}

// articleRow is one datapath beside the baseline: in the articles, and here.
type articleRow struct{ Name, Published, Path, Alone string }

// articles are the two figures of the articles, and ours in the same form.
type articles struct {
	Rows    []articleRow
	Figures []figure
}

// articleCharts are the articles' rates, ours, and the CPU that is left at three loads.
// Ours are those of the usual case.
func articleCharts(results *Results) (charts []chart) {
	kinds, members := kindsOf(results)
	for _, k := range kinds {
		if k.benchmark == "pps" && k.unit == "packets/s" {
			theirs := &Results{}
			for _, p := range published {
				theirs.Results = append(theirs.Results, Result{
					Benchmark: "pps", Params: map[string]string{"datapath": p.datapath}, Unit: "packets/s",
					Median: p.rate, Low: p.rate, High: p.rate,
				})
			}
			c := barsOf(theirs)[0]
			c.name, c.benchmark.title = "published-pps", "Published: packets per second"
			c.shared = []string{"two physical machines, network cards, one service"}
			ours := layOut(forwarding(usualCase(members[k])))
			ours.name, ours.benchmark.title = "ours-pps", "Here: packets per second"
			charts = append(charts, c, ours)
		}
		if k.benchmark == "cpu" && k.unit == "%" {
			ours := layOut(leftOver(usualCase(members[k])))
			ours.name, ours.benchmark = "ours-cpu-left", benchmark{title: "Here: CPU left for applications", what: "One CPU less what the datapath alone takes of it, at loads of 1 : 2 : 4."}
			charts = append(charts, ours)
		}
	}
	return charts
}

// forwarding are the results without the empty path.
func forwarding(results []*Result) []*Result {
	return slices.DeleteFunc(slices.Clone(results), func(r *Result) bool { return r.Params["datapath"] == emptyPath })
}

// leftOver turns CPU time used into what is left of one CPU.
func leftOver(used []*Result) (left []*Result) {
	for _, r := range forwarding(used) {
		l := &Result{Benchmark: r.Benchmark, Params: maps.Clone(r.Params), Unit: unitLeft, Median: 100 - r.Median, Low: 100 - r.High, High: 100 - r.Low}
		for _, sample := range r.Samples {
			l.Samples = append(l.Samples, 100-sample)
		}
		left = append(left, l)
	}
	return left
}

// articleRows sets each datapath's ratio to the baseline beside the articles'.
func articleRows(results *Results) (rows []articleRow) {
	_, members := kindsOf(results)
	ratio := func(k kind, value string) string {
		c := layOut(usualCase(members[k]))
		for _, a := range c.compare() {
			if a.value != value {
				continue
			}
			switch a.outcome {
			case unclear:
				return "not clear of zero"
			case alike:
				return "alike"
			}
			return a.times()
		}
		return "–"
	}
	base := published[len(published)-1].rate
	for _, p := range published[:len(published)-1] {
		row := articleRow{Name: fmt.Sprintf("%s : %s", phrase("datapath", p.datapath), baseline), Published: times(p.rate / base), Path: "–", Alone: "–"}
		if len(members[kind{"pps", "packets/s"}]) > 0 {
			row.Path = ratio(kind{"pps", "packets/s"}, p.datapath)
		}
		if len(members[kind{"cost", "ns/packet"}]) > 0 {
			row.Alone = ratio(kind{"cost", "ns/packet"}, p.datapath)
		}
		if row.Path != "–" || row.Alone != "–" {
			rows = append(rows, row)
		}
	}
	return rows
}
