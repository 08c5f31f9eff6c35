package reports

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Options say what a run is set beside.
type Options struct {
	Against string // the run that it is compared with: a folder or file; "" for the last good one of the history
	Again   string // a repetition of the run, which must show a regression too, or ""
	History string // a folder with a folder for each earlier run, for the trend, or ""
	Out     string // where the page goes: "" for the run's own folder
}

// Report is a run with what it is set beside.
type Report struct {
	Results *Results
	Diff    *Diff // nil when it is compared with nothing
	Past    []*Results

	charts     []chart
	unread     []Problem // of what it is set beside
	uncompared *Problem  // why it cannot be compared with what it should be
	profile    *profile
	noProfile  string // why there is none, or ""
}

// Render reads a run, in a folder or a file of its own, and writes its report:
// index.html, bench.txt, junit.xml, summary.md and each plot as NAME.svg and NAME.png.
// A file is there whole or as it was before. A run that cannot be read leaves
// everything as it was; other runs that cannot be read are named on the page.
func Render(path string, o Options) (*Report, error) {
	results, err := ReadResults(path)
	if err != nil {
		return nil, undecidable{err}
	}
	dir := path
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		dir = filepath.Dir(path)
	}
	r := newReport(results)
	last, err := r.readPast(o.History)
	if err != nil {
		return nil, undecidable{err}
	}
	if o.Against == "" {
		o.Against = last
	}
	r.compare(o)
	r.readProfile(dir)
	if o.Out != "" {
		dir = o.Out
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, undecidable{fmt.Errorf("the report's folder is not made: %w", err)}
		}
	}
	if err := r.write(dir); err != nil {
		return nil, undecidable{err}
	}
	return r, nil
}

func newReport(results *Results) *Report {
	return &Report{Results: results, charts: chartsOf(results)}
}

// compare sets the run beside another one, and its repetition beside that.
func (r *Report) compare(o Options) {
	if o.Against == "" {
		return
	}
	old, err := ReadResults(o.Against)
	if err != nil {
		p := asProblem(o.Against, err)
		r.uncompared = &p
		r.unread = append(r.unread, p)
		return
	}
	var again *Results
	if o.Again != "" {
		if again, err = ReadResults(o.Again); err != nil {
			r.unread = append(r.unread, asProblem(o.Again, err))
		}
	}
	r.Diff = NewDiff(old, r.Results, again)
}

// asProblem keeps the place that an error may name.
func asProblem(path string, err error) Problem {
	if p, named := err.(Problem); named {
		return p
	}
	return Problem{File: path, Text: err.Error()}
}

// problems are all places that could not be read.
func (r *Report) problems() []Problem {
	all := slices.Clone(r.Results.Problems)
	if r.Diff != nil {
		all = r.Diff.problems()
	}
	return append(all, r.unread...)
}

// Verdict is the run in one sentence: what got worse since the run that it is compared
// with, or else how the datapaths do beside one another.
func (r *Report) Verdict() string {
	switch {
	case r.Diff != nil:
		return r.Diff.Verdict()
	case r.uncompared != nil:
		return fmt.Sprintf("Not compared: the old run cannot be read: %v.", r.uncompared)
	case r.Results.untrusted() != "":
		first, _, _ := strings.Cut(r.Results.untrusted(), "; ")
		return "Untrusted: " + strings.TrimSuffix(first, ".") + "."
	default:
		return verdict(r.Results)
	}
}

// second is the sentence below the verdict, or "".
func (r *Report) second() string {
	if v := verdict(r.Results); v != r.Verdict() {
		return v
	}
	return ""
}

// caveats are what weakens the verdict, a sentence each.
func (r *Report) caveats() (all []string) {
	if why := r.Results.untrusted(); why != "" {
		all = append(all, "Untrusted: this run failed a check of its own, so it decides nothing. "+sentence(why))
	}
	if r.Diff != nil && r.Diff.Old.untrusted() != "" {
		all = append(all, "The run that it is compared with is untrusted too. "+sentence(r.Diff.Old.untrusted()))
	}
	if n := len(r.problems()); n > 0 {
		all = append(all, fmt.Sprintf("%s of the files cannot be read, and what stood there is not judged: see the end of the page.", places(n)))
	}
	if shard := r.Results.Environment["shard"]; shard != "" {
		all = append(all, fmt.Sprintf("This is part %s of a run: skbench report merge joins the parts.", shard))
	}
	if few := caveat(r.Results); few != "" {
		all = append(all, few)
	}
	return all
}

// sentence begins with a capital letter and ends with a full stop.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	return capital(strings.TrimSuffix(text, ".")) + "."
}

func places(n int) string {
	if n == 1 {
		return "1 place"
	}
	return fmt.Sprintf("%d places", n)
}

// Err is nil when nothing got worse and everything could be read; see Diff.Err. What
// cannot be read of past runs is on the page, and no error.
func (r *Report) Err() error {
	switch {
	case r.Diff != nil:
		return r.Diff.Err()
	case r.uncompared != nil:
		return unread([]Problem{*r.uncompared})
	default:
		return unread(r.Results.Problems)
	}
}
