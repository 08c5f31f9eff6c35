package vector

import (
	"encoding/json"
	"io"
	"strings"
	"time"
)

// event is one of go test -json (cmd/test2json).
type event struct {
	Time    time.Time
	Action  string
	Package string
	Test    string   `json:",omitempty"`
	Elapsed *float64 `json:",omitempty"` // seconds
	Output  string   `json:",omitempty"`
}

// WriteEvents writes a result as go test -json would: the suite is the package, each vector a test.
func WriteEvents(w io.Writer, r *Result) error {
	out := json.NewEncoder(w)
	now := time.Now()
	write := func(action, test, output string, took time.Duration) error {
		e := event{Time: now, Action: action, Package: r.Suite, Test: test, Output: output}
		if action == "pass" || action == "fail" || action == "skip" {
			seconds := took.Seconds()
			e.Elapsed = &seconds
		}
		return out.Encode(e)
	}
	if err := write("start", "", "", 0); err != nil {
		return err
	}
	for _, v := range r.Vectors {
		test, action := testName(v.Name), "pass"
		err := write("run", test, "", 0)
		var said []string
		switch {
		case v.Failure != nil:
			action = "fail"
			said = append(said, v.Failure.String())
		case v.Skipped != "":
			action = "skip"
			said = append(said, v.Skipped)
		default:
			said = append(said, v.Log...)
		}
		if v.Timing != nil {
			said = append(said, v.Timing.String())
		}
		for _, text := range said {
			for line := range strings.Lines(text + "\n") {
				err = first(err, write("output", test, "    "+line, 0))
			}
		}
		if err = first(err, write(action, test, "", v.Duration)); err != nil {
			return err
		}
	}
	if r.Err != nil {
		if err := write("output", "", r.Err.Error()+"\n", 0); err != nil {
			return err
		}
	}
	if r.Err != nil || r.Failed() > 0 {
		return write("fail", "", "", r.Duration)
	}
	return write("pass", "", "", r.Duration)
}

// testName is how go test writes the name of a subtest.
func testName(name string) string { return strings.ReplaceAll(name, " ", "_") }

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
