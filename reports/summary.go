package reports

import (
	"bytes"
	"fmt"
	"strings"
)

// summaryRows is how many changes a job's page shows of each outcome.
const summaryRows = 25

// writeSummary writes what a pull request or a job's page shows, as Markdown: the
// verdict, what got worse and better, the checks, the figures that the articles have.
func (r *Report) writeSummary(w *bytes.Buffer) error {
	fmt.Fprintf(w, "## %s\n\n", inCell(r.Verdict()))
	if second := r.second(); second != "" {
		fmt.Fprintf(w, "%s\n\n", inCell(second))
	}
	for _, caveat := range r.caveats() {
		fmt.Fprintf(w, "> %s\n\n", inCell(caveat))
	}
	if r.Diff != nil && incomparable(r.Diff.Old, r.Diff.New) == "" {
		for _, o := range []Outcome{Regressed, Improved, Undecided, Removed} {
			r.writeChanges(w, o)
		}
	}
	if r.Diff != nil && r.Diff.basis() != "" {
		fmt.Fprintf(w, "%s\n\n", inCell(r.Diff.basis()))
	}
	for _, c := range r.Results.Checks {
		fmt.Fprintf(w, "- %s **%s**: %s\n", inCell(c.Title()), c.State(), inCell(c.Says))
	}
	if len(r.Results.Checks) > 0 {
		w.WriteByte('\n')
	}
	for _, c := range r.charts {
		fmt.Fprintf(w, "- %s: %s\n", inCell(c.title()), inCell(c.finding()))
	}
	fmt.Fprintf(w, "\nkernel %s, %s, commit %s. Figures on veth pairs are relative: they compare datapaths, and are no network card's.\n",
		inCell(r.Results.Environment["kernel"]), inCell(r.Results.Environment["cpu"]), inCell(r.Results.Environment["commit"]))
	return nil
}

func (r *Report) writeChanges(w *bytes.Buffer, of Outcome) {
	n := 0
	for _, c := range r.Diff.Changes {
		if c.Outcome != of {
			continue
		}
		if n++; n == 1 {
			fmt.Fprintf(w, "| %s | old | new | unit | change | interval | p | why |\n| --- | --: | --: | --- | --: | --- | --: | --- |\n", of)
		}
		if n <= summaryRows {
			why := c.Why
			if c.Outcome == Regressed {
				why = r.Diff.explain(c)
			}
			cells := []string{c.subject(), median(c.Old), median(c.New), c.Unit(), c.effect(), c.bounds(), c.probability(), why}
			for i := range cells {
				cells[i] = inCell(cells[i])
			}
			fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
		}
	}
	if n > summaryRows {
		fmt.Fprintf(w, "| and %d more | | | | | | | |\n", n-summaryRows)
	}
	if n > 0 {
		w.WriteByte('\n')
	}
}
