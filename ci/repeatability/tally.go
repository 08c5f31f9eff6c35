package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"path/filepath"
	"slices"

	"gonum.org/v1/gonum/stat"

	"github.com/skbench/skbench/bench"
	"github.com/skbench/skbench/reports"
)

// What the README promises.
const (
	mostApart  = 0.03 // medians of two runs in a row
	mostAlarms = 0.01 // of comparisons with itself
	leastFound = 0.95 // of comparisons with what is slower
)

// difference is by how much a rate's median changed from one run to the next: as it is, and
// as reports compare it, which is beside the empty path.
type difference struct{ rate, compared float64 }

// differences are those of the datapaths' inline rates.
type differences map[string]difference

func between(first, second *reports.Results) differences {
	apart := differences{}
	for _, c := range reports.Compare(first, second) {
		if c.Old == nil || c.New == nil || c.New.Benchmark != "pps" || c.New.Params["mode"] != "inline" {
			continue
		}
		d := difference{rate: c.New.Median/c.Old.Median - 1}
		if c.Beside {
			d.compared = c.Effect
		} else if c.New.Params["datapath"] != "empty" { // which is what the others are beside
			d.compared = d.rate
		}
		apart[c.New.Params["datapath"]] = d
	}
	return apart
}

// print tells of the rates, the one that is farthest apart last, and fails if that is too far.
func (d differences) print(out io.Writer) error {
	far := func(name string) float64 { return math.Abs(d[name].compared) }
	names := slices.SortedFunc(maps.Keys(d), func(a, b string) int { return cmp.Or(cmp.Compare(far(a), far(b)), cmp.Compare(a, b)) })
	if len(names) == 0 {
		return errors.New("two runs in a row have no rate in common")
	}
	fmt.Fprintln(out, "two runs in a row, medians of the inline rates, and of the same beside the empty path:")
	for _, name := range names {
		fmt.Fprintf(out, "  %-12s %+.1f %%  %+.1f %%\n", name, 100*d[name].rate, 100*d[name].compared)
	}
	if worst := far(names[len(names)-1]); worst > mostApart {
		return fmt.Errorf("two runs in a row are %.1f %% apart, and promised are at most %.0f %%", 100*worst, 100*mostApart)
	}
	return nil
}

// tally counts what reports say of comparisons.
type tally struct {
	proof bench.Proof
	delay bench.Delay // zero where it is not known

	sampling                      string
	taken                         int
	alarms, confirmedAlarms       int       // comparisons with itself in which a figure looks changed
	found, confirmed, foundInRate int       // comparisons with what is slower in which its cost, or its rate, looks worse
	apart, slowed                 []float64 // by how much the cost differs in each comparison, of itself and of what is slower
	previousSame, previousSlower  []reports.Change
	firstSame, firstSlower        []reports.Change

	nights                   int // comparisons with the run before, as of two nights: the runs have no lap in common
	nightAlarms, nightsFound int
	nightsApart              []float64
	before                   *reports.Results
}

// keep leaves the runs of a comparison in a folder of their own, and judges them.
func (t *tally) keep(dir string, c bench.Comparison) error {
	dir = filepath.Join(dir, fmt.Sprintf("%s-%03d", t.proof.Datapath, t.taken+1))
	for name, run := range map[string]*bench.Results{"old": c.Old, "same": c.Same, "slower": c.Slower} {
		if err := run.Write(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return t.judge(dir)
}

// judge judges the runs in a folder: those of a comparison side by side, and as one night's beside those of the comparison before.
func (t *tally) judge(dir string) error {
	var runs [3]*reports.Results
	for i, name := range []string{"old", "same", "slower"} {
		var err error
		if runs[i], err = reports.ReadResults(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	old, same, slower := runs[0], runs[1], runs[2]
	t.sampling = old.Environment["sampling"]
	t.add(reports.Compare(old, same), reports.Compare(old, slower))
	if t.before != nil {
		t.addNight(reports.Compare(t.before, same), reports.Compare(t.before, slower))
	}
	t.before = old
	return nil
}

// add counts a comparison side by side. What looks worse is confirmed by the comparison before, for the first of all by the last.
func (t *tally) add(same, slower []reports.Change) {
	t.taken++
	t.alarms += one(changed(same))
	t.found += one(worse(slower, "ns/packet"))
	t.foundInRate += one(worse(slower, "packets/s"))
	t.apart, t.slowed = append(t.apart, effect(same)), append(t.slowed, effect(slower))
	if t.taken == 1 {
		t.firstSame, t.firstSlower = same, slower
	} else {
		t.confirm(same, slower)
	}
	t.previousSame, t.previousSlower = same, slower
}

// addNight counts a comparison of runs one after the other.
func (t *tally) addNight(same, slower []reports.Change) {
	t.nights++
	t.nightAlarms += one(changed(same))
	t.nightsFound += one(worse(slower, "ns/packet"))
	t.nightsApart = append(t.nightsApart, effect(same))
}

// confirm takes the comparison before as the repetition.
func (t *tally) confirm(same, slower []reports.Change) {
	t.confirmedAlarms += one(len(reports.Regressions(reports.Confirm(same, t.previousSame))) > 0)
	t.confirmed += one(worse(reports.Confirm(slower, t.previousSlower), "ns/packet"))
}

func changed(changes []reports.Change) bool {
	return slices.ContainsFunc(changes, func(c reports.Change) bool { return c.Outcome == reports.Regressed || c.Outcome == reports.Improved })
}

func worse(changes []reports.Change, unit string) bool {
	return slices.ContainsFunc(changes, func(c reports.Change) bool { return c.Unit() == unit && c.Outcome == reports.Regressed })
}

// effect is by how much the cost differs.
func effect(changes []reports.Change) float64 {
	i := slices.IndexFunc(changes, func(c reports.Change) bool { return c.Unit() == "ns/packet" })
	return changes[i].Effect
}

// most writes the middle of effects, and what nine of ten lie within.
func most(effects []float64) string {
	sorted := slices.Sorted(slices.Values(effects))
	of := func(q float64) float64 { return 100 * stat.Quantile(q, stat.Empirical, sorted, nil) }
	return fmt.Sprintf("the cost differs by %+.1f %% (nine of ten: %+.1f to %+.1f %%)", of(0.5), of(0.05), of(0.95))
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// print tells what was counted, and fails if that is less than promised.
func (t *tally) print(out io.Writer) error {
	if t.taken > 1 { // the first comparison's repetition is the last
		t.confirm(t.firstSame, t.firstSlower)
	}
	fmt.Fprintf(out, "%s, %d comparisons of %s\n", t.proof.Datapath, t.taken, t.sampling)
	if t.delay.Added > 0 {
		fmt.Fprintf(out, "  alone it takes %.0f ns, and %d turns that slow it down add %.1f ns\n", t.delay.Alone, t.delay.Turns, t.delay.Added)
	}
	fmt.Fprintf(out, "  with itself: %d of %d look changed, %d worse after a repetition; %s\n", t.alarms, t.taken, t.confirmedAlarms, most(t.apart))
	fmt.Fprintf(out, "  slowed down by %.0f %%: %d of %d found by the cost, %d after a repetition, %d by the rate alone; %s\n",
		100*t.proof.Slower, t.found, t.taken, t.confirmed, t.foundInRate, most(t.slowed))
	if t.nights > 0 {
		fmt.Fprintf(out, "  with the run before, as two nights are compared: %d of %d look changed; %s; slowed down: %d found\n",
			t.nightAlarms, t.nights, most(t.nightsApart), t.nightsFound)
	}
	var failed error
	if float64(t.alarms) > mostAlarms*float64(t.taken) {
		failed = fmt.Errorf("%s: %d false alarms in %d comparisons, and promised is at most 1 in 100", t.proof.Datapath, t.alarms, t.taken)
	}
	if float64(t.found) < leastFound*float64(t.taken) {
		failed = errors.Join(failed, fmt.Errorf("%s: slower by %.0f %% is found in %d of %d comparisons, and promised are 95 of 100",
			t.proof.Datapath, 100*t.proof.Slower, t.found, t.taken))
	}
	return failed
}
