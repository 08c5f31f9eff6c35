package reports

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
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
	Verdict           string
	Caveat            string // what weakens the verdict, or ""
	Figures           []figure
	Bench             string   // every sample, as benchmark text
	Method            string   // what the environment says of it, or ""
	Modes             []string // inline, split: as the benchmarks name them
	EmptyPath         bool     // the run has it
	Environment       []entry
}

// entry is one line of the environment.
type entry struct{ Name, Value string }

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
}

// WriteHTML writes one page that needs nothing beside it: verdict, plots, all
// figures, environment and method. It has no script.
func WriteHTML(w io.Writer, results *Results) error {
	p, err := pageOf(results)
	if err != nil {
		return err
	}
	if err := pageTemplate.Execute(w, p); err != nil {
		return fmt.Errorf("page not written: %w", err)
	}
	return nil
}

func pageOf(results *Results) (*page, error) {
	var bench strings.Builder
	if err := WriteBench(&bench, results); err != nil {
		return nil, err
	}
	charts, environment := chartsOf(results), results.Environment
	p := &page{
		Style:       template.CSS(pageStyle),
		Palette:     palette,
		Time:        environment["time"],
		Kernel:      environment["kernel"],
		CPU:         environment["cpu"],
		Verdict:     verdict(charts),
		Caveat:      caveat(results),
		Bench:       bench.String(),
		Method:      environment["method"],
		Environment: entries(environment),
	}
	for _, c := range charts {
		f, err := c.figure()
		if err != nil {
			return nil, err
		}
		p.Figures = append(p.Figures, f)
	}
	for _, r := range results.Results {
		if mode := r.Params["mode"]; mode != "" && !slices.Contains(p.Modes, mode) {
			p.Modes = append(p.Modes, mode)
		}
		p.EmptyPath = p.EmptyPath || r.Params["datapath"] == emptyPath
	}
	return p, nil
}

func (c chart) figure() (figure, error) {
	svg, err := c.svg()
	if err != nil {
		return figure{}, err
	}
	f := figure{
		Title:   c.title(),
		What:    c.benchmark.what,
		Finding: c.finding(),
		Unit:    c.unit.name,
		Notes:   strings.Join(c.shared, " · "),
		Plot:    inline(svg, c.title()+". "+c.finding()),
	}
	for _, g := range c.groups {
		f.Groups = append(f.Groups, rowsOf(g))
	}
	return f, nil
}

func rowsOf(g group) rows {
	r := rows{Name: g.name}
	for _, b := range g.bars {
		r.Rows = append(r.Rows, row{
			Name:    b.name,
			Median:  tableNumber(b.Median),
			Low:     tableNumber(b.Low),
			High:    tableNumber(b.High),
			Samples: len(b.Samples),
		})
	}
	return r
}

// tableNumber has enough digits that two samples are seldom written alike.
func tableNumber(v float64) string { return significant(v, 5) }

// caveat says when samples are too few for an interval.
func caveat(results *Results) string {
	few := 0
	for _, r := range results.Results {
		if len(r.Samples) < fewSamples {
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
		all = append(all, entry{key, environment[key]})
	}
	return all
}
