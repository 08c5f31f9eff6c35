package vector

import (
	"errors"
	"fmt"
	"strings"
)

// An InputError is a mistake in what a user gave: a suite, an object, a capture. It is one sentence, with its place.
type InputError struct {
	File         string
	Line, Column int    // 0 where the file as a whole is meant
	Text         string // says what is wrong, and what would be right
	Err          error  // what caused it, if anything did
}

func (e *InputError) Error() string {
	switch {
	case e.File == "":
		return e.Text
	case e.Line == 0:
		return e.File + ": " + e.Text
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Text)
}

func (e *InputError) Unwrap() error { return e.Err }

// place is where something stands in a file; the zero place is that of values that a program gave.
type place struct {
	file         string
	line, column int
}

func (p place) errorf(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &InputError{File: p.file, Line: p.line, Column: p.column, Text: err.Error(), Err: err}
}

// inFile makes a mistake of a file out of an error that does not say where it is.
func inFile(file string, err error) error {
	var input *InputError
	if errors.As(err, &input) && input.File != "" {
		return err
	}
	return &InputError{File: file, Text: err.Error(), Err: err}
}

// unknown says that there is no such thing, and which there are: the nearest, or all if they are few.
func unknown(what, name string, known []string) string {
	text := fmt.Sprintf("there is no %s %q", what, name)
	switch near := nearest(name, known); {
	case near != "":
		return fmt.Sprintf("%s; did you mean %q?", text, near)
	case len(known) == 0:
		return text
	case len(known) <= 16:
		return fmt.Sprintf("%s, only %s", text, strings.Join(known, ", "))
	}
	return text
}

// nearest is the name that differs least, if it is near enough to have been meant.
func nearest(name string, known []string) string {
	best, least := "", 1+len(name)/3
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d <= least && (best == "" || d < least) {
			best, least = k, d
		}
	}
	return best
}

// distance is the number of letters to add, drop, exchange or swap with their neighbour that makes a out of b.
func distance(a, b string) int {
	before, last := []int(nil), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			change := 1
			if a[i] == b[j] {
				change = 0
			}
			row[j+1] = min(last[j]+change, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
