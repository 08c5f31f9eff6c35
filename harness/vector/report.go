package vector

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// WriteTerse writes a line for each suite, what failed under it, and a last line that counts.
func WriteTerse(w io.Writer, results []*Result) error {
	var out strings.Builder
	passed, failed := 0, 0
	for _, r := range results {
		bad := r.Failed()
		passed, failed = passed+len(r.Vectors)-bad, failed+bad
		mark := "ok  "
		if bad > 0 || r.Err != nil {
			mark = "FAIL"
		}
		fmt.Fprintf(&out, "%s  %s  %s  %s\n", mark, r.Suite, plural(len(r.Vectors), "vector"), r.Duration.Round(time.Microsecond))
		for _, v := range r.Vectors {
			if v.Failure != nil {
				fmt.Fprintf(&out, "      %s\n%s\n", v.Name, indent(v.Failure.String(), "        "))
			}
		}
		if r.Err != nil {
			fmt.Fprintf(&out, "      %s\n", r.Err)
		}
	}
	fmt.Fprintf(&out, "%d passed, %d failed\n", passed, failed)
	_, err := io.WriteString(w, out.String())
	return err
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func indent(text, by string) string {
	return by + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+by)
}

// Err is nil if every vector of every suite passed. Else it is the error of the whole run, whose ExitCode is 2 if a suite could not
// be used, 1 if all could.
func Err(results []*Result) error {
	failed, unusable := 0, 0
	for _, r := range results {
		failed += r.Failed()
		if r.Err != nil {
			unusable++
		}
	}
	switch {
	case unusable > 0:
		return exitError{2, plural(unusable, "suite") + " could not be used"}
	case failed > 0:
		return exitError{1, plural(failed, "vector") + " failed"}
	}
	return nil
}

type exitError struct {
	code int
	text string
}

func (e exitError) Error() string { return e.text }

// ExitCode is the exit status of the command that ends with this error.
func (e exitError) ExitCode() int { return e.code }
