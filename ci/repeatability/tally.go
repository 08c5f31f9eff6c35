package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"

	"github.com/skbench/skbench/bench"
	"github.com/skbench/skbench/reports"
)

// What the README promises.
const (
	mostApart  = 0.03 // medians of two runs in a row
	mostAlarms = 0.01 // of comparisons with itself
	leastFound = 0.95 // of comparisons with what is slower
)

// differences are by how much each rate's median changed from one run to the next.
type differences map[string]float64

func between(first, second *reports.Results) differences {
	apart := differences{}
	for _, r := range first.Results {
		if r.Benchmark != "pps" || r.Params["mode"] != "inline" {
			continue
		}
		for _, again := range second.Results {
			if again.Benchmark == r.Benchmark && again.Params["datapath"] == r.Params["datapath"] {
				apart[r.Params["datapath"]] = again.Median/r.Median - 1
			}
		}
	}
	return apart
}

// print tells of the rates, the one that is farthest apart last, and fails if that is too far.
func (d differences) print(out io.Writer) error {
	var names []string
	for name := range d {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(math.Abs(d[a]), math.Abs(d[b])), cmp.Compare(a, b)) })
	if len(names) == 0 {
		return errors.New("two runs in a row have no rate in common")
	}
	fmt.Fprintln(out, "two runs in a row, medians of the inline rates:")
	for _, name := range names {
		fmt.Fprintf(out, "  %-12s %+.1f %%\n", name, 100*d[name])
	}
	if worst := math.Abs(d[names[len(names)-1]]); worst > mostApart {
		return fmt.Errorf("two runs in a row are %.1f %% apart, and promised are at most %.0f %%", 100*worst, 100*mostApart)
	}
	return nil
}

// tally counts what reports say of comparisons.
type tally struct {
	proof bench.Proof
	delay bench.Delay

	taken                         int
	alarms, confirmedAlarms       int // comparisons with itself in which a figure looks changed
	found, confirmed, foundInRate int // comparisons with what is slower in which its cost, or its rate, looks worse
	previousSame, previousSlower  []reports.Change
	firstSame, firstSlower        []reports.Change
}

// count judges a comparison. What looks worse is confirmed by the comparison before, for the first of all by the last.
func (t *tally) count(dir string, c bench.Comparison) error {
	old, err := read(filepath.Join(dir, "old"), c.Old)
	if err != nil {
		return err
	}
	changes := func(results *bench.Results) ([]reports.Change, error) {
		new, err := read(filepath.Join(dir, "new"), results)
		if err != nil {
			return nil, err
		}
		return reports.Compare(old, new), nil
	}
	same, err := changes(c.Same)
	if err != nil {
		return err
	}
	slower, err := changes(c.Slower)
	if err != nil {
		return err
	}
	t.add(same, slower)
	return nil
}

func (t *tally) add(same, slower []reports.Change) {
	t.taken++
	t.alarms += one(changed(same))
	t.found += one(worse(slower, "ns/packet"))
	t.foundInRate += one(worse(slower, "packets/s"))
	if t.taken == 1 {
		t.firstSame, t.firstSlower = same, slower
	} else {
		t.confirm(same, slower)
	}
	t.previousSame, t.previousSlower = same, slower
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
	fmt.Fprintf(out, "%s, %d comparisons of %d samples of %v; alone it takes %.0f ns, slowed down by %d turns of %.2f ns:\n",
		t.proof.Datapath, t.taken, t.proof.Samples, t.proof.Duration, t.delay.Alone, t.delay.Turns, t.delay.Turn)
	fmt.Fprintf(out, "  with itself: %d of %d look changed, %d worse after a repetition\n", t.alarms, t.taken, t.confirmedAlarms)
	fmt.Fprintf(out, "  slowed down by %.0f %%: %d of %d found by the cost, %d after a repetition, %d by the rate alone\n",
		100*t.proof.Slower, t.found, t.taken, t.confirmed, t.foundInRate)
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
