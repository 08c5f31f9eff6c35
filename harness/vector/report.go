package vector

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// A Report says how results are told. The zero value is a terse list.
type Report struct {
	JSON    bool   // events of go test -json in place of the list
	JUnit   string // file for JUnit, too; "" is none
	Save    string // file for what the verifier said; "" is none
	Compare string // earlier such file to compare with; "" is none
}

// Suite writes the result of one suite to w, when it is there.
func (r *Report) Suite(w io.Writer, result *Result) error {
	if r.JSON {
		return WriteEvents(w, result)
	}
	return writeSuite(w, result)
}

// End writes what holds of all suites to w, and the files that the report names.
func (r *Report) End(w io.Writer, results []*Result) error {
	if err := r.end(w, results); err != nil {
		return err
	}
	if r.Save != "" {
		if err := SaveVerified(r.Save, results); err != nil {
			return fmt.Errorf("the verifier's figures: %w", err)
		}
	}
	if r.JUnit == "" {
		return nil
	}
	var out bytes.Buffer
	if err := WriteJUnit(&out, results); err != nil {
		return err
	}
	return os.WriteFile(r.JUnit, out.Bytes(), 0o644)
}

func (r *Report) end(w io.Writer, results []*Result) (err error) {
	if r.JSON {
		return nil
	}
	passed, failed, skipped := 0, 0, 0
	for _, result := range results {
		passed, failed, skipped = passed+result.Passed(), failed+result.Failed(), skipped+result.Skipped()
	}
	count := fmt.Sprintf("%d passed, %d failed", passed, failed)
	if skipped > 0 {
		count += fmt.Sprintf(", %d skipped", skipped)
	}
	if _, err := fmt.Fprintln(w, count); err != nil || allVerified(results) == nil {
		return err
	}
	var before []Verified
	if r.Compare != "" {
		if before, err = ReadVerified(r.Compare); err != nil {
			return err
		}
	}
	return WriteVerified(w, results, before)
}

// writeSuite writes a line for the suite, and what failed and what was measured under it.
func writeSuite(w io.Writer, r *Result) error {
	var out strings.Builder
	mark := "ok  "
	if r.Failed() > 0 || r.Err != nil {
		mark = "FAIL"
	}
	fmt.Fprintf(&out, "%s  %s  %s  %s\n", mark, r.Suite, plural(len(r.Vectors), "vector"), r.Duration.Round(time.Microsecond))
	for _, v := range r.Vectors {
		if v.Timing != nil {
			fmt.Fprintf(&out, "      %s: %s\n", v.Name, v.Timing)
		}
		if v.Failure != nil {
			fmt.Fprintf(&out, "      %s\n%s\n", v.Name, indent(v.Failure.String(), "        "))
		}
		if v.Skipped != "" {
			fmt.Fprintf(&out, "      %s: skipped: %s\n", v.Name, v.Skipped)
		}
	}
	if r.Err != nil {
		fmt.Fprintf(&out, "      %s\n", r.Err)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// firstLine is the first line of a text.
func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
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
