package reports

import "fmt"

// The exit statuses of a comparison, for scripts.
const (
	exitWorse       = 1 // a regression that a repetition shows too
	exitUndecidable = 2 // a file that cannot be read, or not wholly
	exitSuspect     = 3 // a regression that was not repeated yet
)

// gate is an error with an exit status.
type gate struct {
	status int
	text   string
}

func (g gate) Error() string { return g.text }

// ExitCode is the process's exit status.
func (g gate) ExitCode() int { return g.status }

// undecidable is an input that stands in the way of a verdict.
type undecidable struct{ error }

// ExitCode is the process's exit status.
func (undecidable) ExitCode() int { return exitUndecidable }

func (u undecidable) Unwrap() error { return u.error }

// Err is nil when nothing got worse. Its ExitCode is 1 for a regression that shows
// in the repetition, 3 for one that was not repeated, and 2 when a file cannot be
// read wholly, so that something may be hidden.
func (d *Diff) Err() error {
	switch worse := len(Regressions(d.Changes)); {
	case worse > 0 && d.Again != nil:
		return gate{exitWorse, figures(worse) + " got worse"}
	case worse > 0:
		return gate{exitSuspect, figures(worse) + " look worse: measure the new run once more, and compare again with: --again DIR"}
	default:
		return unread(d.problems())
	}
}

// unread is an error when there are problems.
func unread(problems []Problem) error {
	if len(problems) == 0 {
		return nil
	}
	return gate{exitUndecidable, fmt.Sprintf("%s cannot be read, so nothing is said of what stood there; the first: %v", places(len(problems)), problems[0])}
}
