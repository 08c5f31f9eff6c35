package reports

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

const (
	// worseFile marks a run on which something became worse: no run after it is
	// compared with it, until the file is removed.
	worseFile = "worse.txt"

	// againFolder holds the repetition of a run, which is no night of its own.
	againFolder = "again"
)

// night is a past run and where it is.
type night struct {
	*Results
	dir string
}

// readPast reads the runs below a folder that are older than this one, and finds the one to
// compare with: the last that is trusted, whole, of the same machine, and on which
// nothing became worse; or else the last of all, which decides nothing but is shown.
func (r *Report) readPast(dir string) (last string, err error) {
	if dir == "" {
		return "", nil
	}
	var nights []night
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == againFolder:
			return fs.SkipDir
		case entry.Name() != resultsFile:
			return nil
		}
		past, err := ReadResults(path)
		switch {
		case err != nil:
			r.unread = append(r.unread, asProblem(path, err))
		case timeOf(past).Before(timeOf(r.Results)):
			nights = append(nights, night{past, filepath.Dir(path)})
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("the history is not readable: %w: name a folder that has one for each earlier run", err)
	}
	slices.SortStableFunc(nights, func(a, b night) int { return timeOf(a.Results).Compare(timeOf(b.Results)) })
	for _, n := range nights {
		r.Past = append(r.Past, n.Results)
		r.unread = append(r.unread, n.Problems...)
	}
	for _, n := range slices.Backward(nights) {
		if n.good() && differentMachine(n.Results, r.Results) == "" {
			return n.dir, nil
		}
	}
	if len(nights) > 0 {
		return nights[len(nights)-1].dir, nil
	}
	return "", nil
}

// good tells whether later runs can be held against this one.
func (n night) good() bool {
	_, err := os.Stat(filepath.Join(n.dir, worseFile))
	return errors.Is(err, os.ErrNotExist) && n.untrusted() == "" && len(n.Problems) == 0
}

// mark leaves a file in the run's folder when something became worse for certain, and
// takes it away otherwise.
func (r *Report) mark(dir string) error {
	path := filepath.Join(dir, worseFile)
	if r.Diff != nil && r.Diff.Again != nil && len(Regressions(r.Diff.Changes)) > 0 {
		return replace(path, []byte(r.Verdict()+"\n"))
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
