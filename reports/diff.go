package reports

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// Diff is an old run beside a new one, and what became of each benchmark.
type Diff struct {
	Old, New *Results
	Again    *Results // a repetition of the new run, nil if there was none
	Changes  []Change // those for the worse first, then in the new run's order
}

// outcomes are in the order in which they matter to a reader.
var outcomes = []Outcome{Regressed, Improved, Undecided, Removed, Added, Unjudged, Unchanged}

// NewDiff compares two runs. With a repetition of the new one, a regression counts
// only if that shows it too.
func NewDiff(old, new, again *Results) *Diff {
	d := &Diff{Old: old, New: new, Again: again, Changes: Compare(old, new)}
	if again != nil {
		d.Changes = Confirm(d.Changes, Compare(old, again))
	}
	slices.SortStableFunc(d.Changes, func(a, b Change) int {
		return cmp.Compare(slices.Index(outcomes, a.Outcome), slices.Index(outcomes, b.Outcome))
	})
	return d
}

// ReadDiff compares the runs at two paths; again, a repetition of the new one, may be "".
func ReadDiff(old, new, again string) (*Diff, error) {
	runs := make([]*Results, 3)
	for i, path := range []string{old, new, again} {
		if path == "" {
			continue
		}
		var err error
		if runs[i], err = ReadResults(path); err != nil {
			return nil, undecidable{err}
		}
	}
	return NewDiff(runs[0], runs[1], runs[2]), nil
}

// count is how many changes have an outcome.
func (d *Diff) count(of Outcome) (n int) {
	for _, c := range d.Changes {
		if c.Outcome == of {
			n++
		}
	}
	return n
}

// problems are those of all runs.
func (d *Diff) problems() (all []Problem) {
	for _, run := range []*Results{d.Old, d.New, d.Again} {
		if run != nil {
			all = append(all, run.Problems...)
		}
	}
	return all
}

// Verdict is the comparison in one sentence.
func (d *Diff) Verdict() string {
	worse, all := Regressions(d.Changes), len(d.Changes)
	since := ""
	if at := d.Old.Environment["time"]; at != "" {
		since = " since the run of " + day(at)
	}
	switch {
	case incomparable(d.Old, d.New) != "":
		return "No verdict: " + incomparable(d.Old, d.New) + "."
	case len(worse) > 0 && d.Again == nil:
		return fmt.Sprintf("Looks worse%s, though not repeated yet: %s; %d of %s.", since, worst(worse), len(worse), figures(all))
	case len(worse) > 0:
		return fmt.Sprintf("Worse%s: %s; %d of %s, in both of two runs.", since, worst(worse), len(worse), figures(all))
	case d.count(Undecided)+d.count(Removed)+d.count(Added)+d.count(Unjudged) == all:
		return fmt.Sprintf("No verdict: of %s, none can be compared with the old run: %s.", figures(all), d.counts())
	default:
		return fmt.Sprintf("Nothing got worse%s: %s.", since, d.counts())
	}
}

// figures says how many there are.
func figures(n int) string {
	if n == 1 {
		return "1 figure"
	}
	return fmt.Sprintf("%d figures", n)
}

// counts says how many changes there are of each outcome.
func (d *Diff) counts() string {
	var all []string
	for _, o := range slices.Backward(outcomes) {
		if n := d.count(o); n > 0 {
			all = append(all, fmt.Sprintf("%d %s", n, o))
		}
	}
	return strings.Join(all, ", ")
}

// worst says the largest of some changes for the worse, three at most. Programs by
// themselves come last: they are why, and not what a packet meets.
func worst(changes []Change) string {
	part := func(c Change) int {
		if c.result().Benchmark == program {
			return 1
		}
		return 0
	}
	sorted := slices.SortedStableFunc(slices.Values(changes), func(a, b Change) int {
		return cmp.Or(cmp.Compare(part(a), part(b)), cmp.Compare(math.Abs(b.Effect), math.Abs(a.Effect)))
	})
	var all []string
	headlines := headlinesOf(sorted)
	for _, h := range headlines[:min(len(headlines), 3)] {
		all = append(all, h.name+" "+effects(h.changes))
	}
	if len(headlines) > 3 {
		all = append(all, "and more")
	}
	return strings.Join(all, ", ")
}

// headline is changes that go by one name, in one unit.
type headline struct {
	name, unit string
	changes    []Change
}

func headlinesOf(changes []Change) (all []headline) {
	for _, c := range changes {
		name := c.headline()
		i := slices.IndexFunc(all, func(h headline) bool { return h.name == name && h.unit == c.Unit() })
		if i < 0 {
			i = len(all)
			all = append(all, headline{name: name, unit: c.Unit()})
		}
		all[i].changes = append(all[i].changes, c)
	}
	return all
}

// effects writes the range of some changes' effects: "+19 to +22 %".
func effects(changes []Change) string {
	byEffect := func(a, b Change) int { return cmp.Compare(math.Abs(a.Effect), math.Abs(b.Effect)) }
	least, most := slices.MinFunc(changes, byEffect).effect(), slices.MaxFunc(changes, byEffect).effect()
	if least == most {
		return most
	}
	return strings.TrimSuffix(least, " %") + " to " + most
}

// day is the date of a time in RFC 3339.
func day(at string) string {
	date, clock, _ := strings.Cut(at, "T")
	return strings.TrimSpace(date + " " + clock[:min(len(clock), 5)])
}

// result is the new one, or the old of what is gone.
func (c Change) result() *Result {
	if c.New == nil {
		return c.Old
	}
	return c.New
}

// subject says in words which figure it is: "Packets per second · XDP · IPv4 · 64 bytes".
func (c Change) subject() string {
	r := c.result()
	title := benchmarkOf(r.Benchmark).title
	if unitOf(r.Unit).isCount() {
		title += ", " + r.Unit
	}
	params := maps.Clone(r.Params)
	if params["mode"] == usual["mode"] {
		delete(params, "mode")
	}
	if phrases := nameOf(params); phrases != "" {
		title += " · " + phrases
	}
	return title
}

// circumstances are what the headline leaves out: "IPv4 · 64 bytes".
func (c Change) circumstances() string {
	params := maps.Clone(c.result().Params)
	if params["mode"] == usual["mode"] {
		delete(params, "mode")
	}
	if params["program"] != "" {
		delete(params, "program")
	}
	delete(params, "datapath")
	return nameOf(params)
}

// headline is the subject in the fewest words: "XDP packets per second".
func (c Change) headline() string {
	r := c.result()
	words := benchmarkOf(r.Benchmark).brief()
	if unitOf(r.Unit).isCount() {
		words = r.Unit
	}
	if program := r.Params["program"]; program != "" {
		return program + " " + words
	}
	if datapath := r.Params["datapath"]; datapath != "" {
		return phrase("datapath", datapath) + " " + words
	}
	return words
}

// effect writes the change of the median: "+12 %".
func (c Change) effect() string {
	if c.Old == nil || c.New == nil || (c.Effect == 0 && c.Old.Median != c.New.Median) {
		return "–"
	}
	return percent(c.Effect)
}

// bounds writes its interval: "+8.1 to +15 %".
func (c Change) bounds() string {
	if c.effect() == "–" || c.Low == c.High {
		return ""
	}
	return strings.TrimSuffix(percent(c.Low), " %") + " to " + percent(c.High)
}

// probability writes P: "0.0002".
func (c Change) probability() string {
	switch {
	case c.Old == nil || c.New == nil || c.effect() == "–" || unitOf(c.Unit()).isCount():
		return "–"
	case c.P < 0.0001:
		return "< 0.0001"
	default:
		return significant(c.P, 2)
	}
}

// percent writes a part of one with its sign: "+12 %", "−3.4 %".
func percent(part float64) string {
	text := significant(100*part, 2)
	if math.Abs(part) < 0.0005 {
		text = "0.0"
	}
	if part > 0 {
		text = "+" + text
	}
	return text + " %"
}
