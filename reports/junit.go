package reports

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"slices"
)

// writeJUnit writes a suite for each benchmark and one for what the run found out
// about itself. A regression is a failure, once a repetition shows it; what cannot be
// read is an error; what decides nothing is skipped.
func (r *Report) writeJUnit(w *bytes.Buffer) error {
	var all junitSuites
	suite := func(name string) *junitSuite {
		i := slices.IndexFunc(all.Suites, func(s junitSuite) bool { return s.Name == name })
		if i < 0 {
			all.Suites = append(all.Suites, junitSuite{Name: name, Time: "0"})
			i = len(all.Suites) - 1
		}
		return &all.Suites[i]
	}
	for i := range r.Results.Results {
		result := &r.Results.Results[i]
		suite(result.Benchmark).add(r.junitCase(Change{Name: result.goName(), New: result}))
	}
	if r.Diff != nil {
		for _, c := range r.Diff.Changes {
			if c.New == nil {
				suite(c.Old.Benchmark).add(r.junitCase(c))
			}
		}
	}
	for _, c := range r.Results.Checks {
		one := junitCase{Class: "checks", Name: c.Name, Time: "0"}
		if !c.Passed {
			one.Skipped = &junitText{Message: printable("the run is not to be trusted: " + c.Says)}
		}
		suite("checks").add(one)
	}
	for _, p := range r.problems() {
		suite("files").add(junitCase{Class: "files", Name: printable(fmt.Sprintf("%s:%d", p.File, p.Line)), Time: "0", Error: &junitText{Message: printable(p.Error())}})
	}
	return encodeJUnit(w, all)
}

// junitCase is one figure, with what became of it since the run that it is compared with.
func (r *Report) junitCase(c Change) junitCase {
	one := junitCase{Class: c.result().Benchmark, Name: c.Name + " " + c.Unit(), Time: "0"}
	if r.Diff == nil {
		return one
	}
	i := slices.IndexFunc(r.Diff.Changes, func(o Change) bool { return o.Name == c.Name && o.Unit() == c.Unit() })
	c = r.Diff.Changes[i]
	text := &junitText{
		Message: printable(fmt.Sprintf("%s: %s (%s), p %s", c.Outcome, c.effect(), c.bounds(), c.probability())),
		Text:    printable(r.Diff.explain(c)),
	}
	switch {
	case c.Outcome == Regressed && r.Diff.Again != nil:
		one.Failure = text
	case c.Outcome == Regressed:
		text.Message += ", not repeated yet"
		one.Skipped = text
	case c.Outcome == Undecided || c.Outcome == Removed:
		one.Skipped = &junitText{Message: printable(fmt.Sprintf("%s: %s", c.Outcome, c.Why))}
	}
	return one
}

func encodeJUnit(w *bytes.Buffer, all junitSuites) error {
	w.WriteString(xml.Header)
	encoder := xml.NewEncoder(w)
	encoder.Indent("", " ")
	if err := encoder.Encode(all); err != nil {
		return fmt.Errorf("junit.xml not written: %w", err)
	}
	w.WriteByte('\n')
	return nil
}
