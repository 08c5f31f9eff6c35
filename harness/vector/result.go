package vector

import "time"

// A Result is what became of a suite.
type Result struct {
	Suite   string
	File    string // where the suite was written; empty if it was not
	Vectors []VectorResult
	// Err tells why the suite, or the rest of it, could not be run: most often an *InputError.
	Err error
	// Duration is how long all of it took.
	Duration time.Duration
}

// A VectorResult is what became of a vector.
type VectorResult struct {
	Name     string
	Failure  string // empty if it passed; else what differs, on several lines
	Duration time.Duration
}

// Failed counts the vectors that failed.
func (r *Result) Failed() (n int) {
	for _, v := range r.Vectors {
		if v.Failure != "" {
			n++
		}
	}
	return n
}
