package reports

import (
	"cmp"
	"fmt"
	"io"
	"text/tabwriter"
)

// WriteText writes the comparison for a terminal: a line for each benchmark, what got
// worse first, then why, what could not be read, and the verdict.
func (d *Diff) WriteText(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "outcome\told\tnew\tunit\tof empty path\tchange\tinterval\tp\tbenchmark")
	for _, c := range d.Changes {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			c.Outcome, median(c.Old), median(c.New), c.Unit(), cmp.Or(c.besides(), "–"), c.effect(), c.bounds(), c.probability(), c.Name)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, c := range d.Changes {
		switch {
		case c.Outcome == Regressed && d.explain(c) != "":
			fmt.Fprintf(w, "\n%s: %s\n  because: %s\n", c.Outcome, c.Name, d.explain(c))
		case (c.Outcome == Undecided || c.Outcome == Removed) && c.Why != "":
			fmt.Fprintf(w, "%s: %s: %s\n", c.Outcome, c.Name, c.Why)
		}
	}
	if basis := d.basis(); basis != "" {
		fmt.Fprintf(w, "%s\n", basis)
	}
	for _, s := range d.settings() {
		fmt.Fprintf(w, "differs: %s: %q, now %q\n", s.Name, s.Old, s.New)
	}
	for _, p := range d.problems() {
		fmt.Fprintf(w, "not read: %v\n", p)
	}
	_, err := fmt.Fprintf(w, "\n%s\n", d.Verdict())
	return err
}

// median writes that of a result that may be missing.
func median(r *Result) string {
	if r == nil {
		return "–"
	}
	return scaleOf(0, unitOf(r.Unit)).precise(r.Median)
}
