package reports

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
)

var (
	//go:embed page.gohtml
	pageText string
	//go:embed page.css
	pageStyle string

	pageTemplate = template.Must(template.New("page").Parse(pageText))
)

// page is what page.gohtml shows.
type page struct {
	Style             template.CSS
	Palette           []tone
	Time, Kernel, CPU string
	Verdict, Second   string
	Caveats           []string
	Changes           *changed // nil when the run is compared with nothing
	Checks            []Check
	Articles          *articles
	Sections          []section // of plots, one for each benchmark
	Trends            []figure
	Profile           *figure
	NoProfile         string // why there is none
	Tables            []figure
	ManyFigures       bool
	Method            string   // what the environment says of it, or ""
	Modes             []string // inline, split: as the benchmarks name them
	EmptyPath         bool     // the run has it
	Absent            []entry
	Incomplete        []string // datapaths that a case lacks though others have them
	Problems          []Problem
	Environment       []entry
}

// entry is one line of the environment.
type entry struct{ Name, Value string }

// section is the plots of one benchmark.
type section struct {
	Title, What string
	Figures     []figure
}

// changed is the comparison with an older run.
type changed struct {
	Basis    string // what the figures are compared by, or ""
	Groups   []changeGroup
	Settings []setting
	Test     string // by which p is found
	Repeated bool
}

// changeGroup is the changes of one outcome. What did not change is folded up.
type changeGroup struct {
	Title  string
	Folded bool
	Count  int
	Rows   []changeRow
}

// changeRow is the changes that go by one headline.
type changeRow struct {
	Headline, Effects, Cases, Why string
	Worse                         bool
	First                         changeCase // the largest
	Rest                          []changeCase
}

type changeCase struct{ Circumstances, Old, New, Unit, Besides, Effect, Bounds, P string }

// figure is one plot and its part of the table.
type figure struct {
	Title, What, Finding, Unit, Notes string
	Plot                              template.HTML
	Groups                            []rows
}

// rows are the figures of one group of bars, and its name if there are more groups.
type rows struct {
	Name string
	Rows []row
}

type row struct {
	Name, Median, Low, High string
	Samples                 int
	Beside                  string // as a multiple of the empty path, with its interval, or ""
}

// WriteHTML writes one page that needs nothing beside it: verdict, what changed, plots,
// all figures, environment and method. It has no script.
func (r *Report) WriteHTML(w io.Writer) error {
	p, err := r.page()
	if err != nil {
		return err
	}
	if err := pageTemplate.Execute(w, p); err != nil {
		return fmt.Errorf("page not written: %w", err)
	}
	return nil
}

func (r *Report) page() (*page, error) {
	environment := r.Results.Environment
	p := &page{
		Style:       template.CSS(pageStyle),
		Palette:     palette,
		Time:        environment["time"],
		Kernel:      environment["kernel"],
		CPU:         environment["cpu"],
		Verdict:     r.Verdict(),
		Second:      r.second(),
		Caveats:     r.caveats(),
		Changes:     r.changed(),
		ManyFigures: len(r.Results.Results) > 40,
		Checks:      r.Results.Checks,
		NoProfile:   r.noProfile,
		Method:      environment["method"],
		Incomplete:  incomplete(r.Results),
		Problems:    r.problems(),
		Environment: entries(environment),
	}
	for _, c := range barsOf(r.Results) {
		p.Tables = append(p.Tables, c.table())
	}
	for _, a := range r.Results.Absent {
		p.Absent = append(p.Absent, entry{strings.TrimSuffix(benchmarkOf(a.Benchmark).title+": "+nameOf(a.Params), ": "), a.Reason})
	}
	for _, result := range r.Results.Results {
		if mode := result.Params["mode"]; mode != "" && !slices.Contains(p.Modes, mode) {
			p.Modes = append(p.Modes, mode)
		}
		p.EmptyPath = p.EmptyPath || result.Params["datapath"] == emptyPath
	}
	return p, r.addPlots(p)
}

// addPlots draws all plots of the page.
func (r *Report) addPlots(p *page) error {
	for _, c := range r.charts {
		f, err := c.figure(c.finding())
		if err != nil {
			return err
		}
		b := benchmarkOf(c.of)
		if n := len(p.Sections); n == 0 || p.Sections[n-1].Title != b.title {
			p.Sections = append(p.Sections, section{Title: b.title, What: b.what})
		}
		last := &p.Sections[len(p.Sections)-1]
		last.Figures = append(last.Figures, f)
	}
	if rows := articleRows(r.Results); len(rows) > 0 {
		p.Articles = &articles{Rows: rows}
		for _, c := range articleCharts(r.Results) {
			f, err := c.figure(c.finding())
			if err != nil {
				return err
			}
			p.Articles.Figures = append(p.Articles.Figures, f)
		}
	}
	for _, c := range r.trends() {
		f, err := c.figure(c.career())
		if err != nil {
			return err
		}
		p.Trends = append(p.Trends, f)
	}
	if r.profile != nil {
		svg, err := svgOf("profile", r.profile)
		if err != nil {
			return err
		}
		finding := "Most time itself: " + strings.Join(r.profile.hottest(8), ", ") + "."
		p.Profile = &figure{Finding: finding, Plot: inline(svg, "Flame graph. "+finding)}
	}
	return nil
}

// changed lays the comparison out, what got worse first.
func (r *Report) changed() *changed {
	if r.Diff == nil {
		return nil
	}
	all := &changed{Basis: r.Diff.basis(), Settings: r.Diff.settings(), Test: r.Diff.test(), Repeated: r.Diff.Again != nil}
	for _, o := range outcomes {
		of := slices.DeleteFunc(slices.Clone(r.Diff.Changes), func(c Change) bool { return c.Outcome != o })
		if len(of) == 0 {
			continue
		}
		group := changeGroup{Title: outcomeTitle(o), Folded: o != Regressed && o != Improved, Count: len(of)}
		for _, h := range headlinesOf(of) {
			group.Rows = append(group.Rows, r.changeRow(h))
		}
		all.Groups = append(all.Groups, group)
	}
	return all
}

// changeRow lays out the changes of one headline and outcome, the largest first.
func (r *Report) changeRow(h headline) changeRow {
	slices.SortStableFunc(h.changes, func(a, b Change) int { return cmp.Compare(math.Abs(b.Effect), math.Abs(a.Effect)) })
	first := h.changes[0]
	row := changeRow{Headline: h.name, Effects: effects(h.changes), Why: first.Why, Worse: first.Outcome == Regressed}
	if row.Worse {
		row.Why = r.Diff.explain(first)
	}
	for i, c := range h.changes {
		one := changeCase{c.circumstances(), median(c.Old), median(c.New), c.Unit(), c.besides(), c.effect(), c.bounds(), c.probability()}
		if i == 0 {
			row.First = one
		} else {
			row.Rest = append(row.Rest, one)
		}
	}
	cases := 0
	for _, c := range r.Diff.Changes {
		if c.headline() == h.name && c.Unit() == h.unit {
			cases++
		}
	}
	if cases > 1 {
		row.Cases = fmt.Sprintf("in %d of %d cases", len(h.changes), cases)
	}
	return row
}

func outcomeTitle(o Outcome) string {
	if o == Regressed {
		return "Got worse"
	}
	return strings.ToUpper(string(o[:1])) + string(o[1:])
}

// incomplete lists the cases that lack a datapath which other cases of the benchmark have.
func incomplete(results *Results) (all []string) {
	for _, c := range barsOf(results) {
		if c.over != "datapath" {
			continue
		}
		have := map[string]bool{}
		for b := range c.bars() {
			have[b.name] = true
		}
		for _, g := range c.groups {
			for _, d := range datapaths {
				if have[d.name] && !slices.ContainsFunc(g.bars, func(b bar) bool { return b.name == d.name }) {
					all = append(all, fmt.Sprintf("%s (%s): %s was not measured, so nothing is said of it there.", c.benchmark.title, g.name, d.name))
				}
			}
		}
	}
	return all
}

// figure draws the chart, with a sentence on what it shows.
func (c chart) figure(finding string) (figure, error) {
	svg, err := c.svg()
	if err != nil {
		return figure{}, err
	}
	return figure{Title: c.title(), What: c.benchmark.what, Finding: finding, Plot: inline(svg, c.title()+". "+finding)}, nil
}

// table is the chart's part of the table of all figures. Billions are written as such,
// since a phone has no room for their digits.
func (c chart) table() figure {
	f := figure{Title: c.title(), Unit: c.unit.name, Notes: strings.Join(c.shared, " · ")}
	_, most := c.extent()
	scale := scaleOf(most, c.unit)
	if scale.divisor < 1e9 {
		scale = scaleOf(0, c.unit)
	}
	f.Unit = scale.word + f.Unit
	for _, g := range c.groups {
		r := rows{Name: g.name}
		for _, b := range g.bars {
			r.Rows = append(r.Rows, row{
				Name:    b.name,
				Median:  scale.precise(b.Median),
				Low:     scale.precise(b.Low),
				High:    scale.precise(b.High),
				Samples: len(b.Samples),
				Beside:  b.beside(),
			})
		}
		f.Groups = append(f.Groups, r)
	}
	return f
}

// precise writes v with enough digits that two samples are seldom written alike.
func (s scale) precise(v float64) string {
	if s.whole && v == math.Trunc(v) {
		return grouped(v, 0)
	}
	return tableNumber(v / s.divisor)
}

// tableNumber has five digits, and more of what is larger.
func tableNumber(v float64) string { return significant(v, 5) }

// caveat says when samples are too few for an interval.
func caveat(results *Results) string {
	few := 0
	for _, r := range results.Results {
		if len(r.Samples) < fewSamples && !unitOf(r.Unit).isCount() {
			few++
		}
	}
	if few == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d figures have fewer than %d samples. "+
		"Their intervals are the smallest and the largest sample and prove little: take this as a first look.",
		few, len(results.Results), fewSamples)
}

// entries lists an environment: first what every one has, then the rest by the alphabet.
func entries(environment map[string]string) (all []entry) {
	keys := slices.Clone(environmentKeys)
	for _, key := range slices.Sorted(maps.Keys(environment)) {
		if !slices.Contains(keys, key) && key != "method" {
			keys = append(keys, key)
		}
	}
	for _, key := range keys {
		if environment[key] == "" {
			continue
		}
		all = append(all, entry{key, environment[key]})
	}
	return all
}
