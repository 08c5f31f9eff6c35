package vector

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

// The elements of a JUnit file, as far as readers agree about them.
type (
	junitSuites struct {
		XMLName xml.Name `xml:"testsuites"`
		Suites  []junitSuite
	}
	junitSuite struct {
		XMLName  xml.Name `xml:"testsuite"`
		Name     string   `xml:"name,attr"`
		File     string   `xml:"file,attr,omitempty"`
		Tests    int      `xml:"tests,attr"`
		Failures int      `xml:"failures,attr"`
		Errors   int      `xml:"errors,attr"`
		Skipped  int      `xml:"skipped,attr"`
		Time     string   `xml:"time,attr"`
		Cases    []junitCase
	}
	junitCase struct {
		XMLName xml.Name      `xml:"testcase"`
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Time    string        `xml:"time,attr"`
		Failure *junitProblem `xml:"failure"`
		Error   *junitProblem `xml:"error"`
		Skipped *junitProblem `xml:"skipped"`
		Output  string        `xml:"system-out,omitempty"`
	}
	junitProblem struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// WriteJUnit writes results as a JUnit file. A suite that could not be used has a case of its own, in error.
func WriteJUnit(w io.Writer, results []*Result) error {
	var all junitSuites
	for _, r := range results {
		suite := junitSuite{Name: r.Suite, File: r.File, Tests: len(r.Vectors), Failures: r.Failed(), Skipped: r.Skipped(), Time: seconds(r.Duration)}
		for _, v := range r.Vectors {
			c := junitCase{Class: r.Suite, Name: v.Name, Time: seconds(v.Duration), Output: strings.Join(v.Log, "\n")}
			if v.Skipped != "" {
				c.Skipped = &junitProblem{Message: firstLine(v.Skipped)}
			}
			if v.Failure != nil {
				c.Failure = &junitProblem{firstLine(v.Failure.Differences), v.Failure.String()}
			}
			suite.Cases = append(suite.Cases, c)
		}
		if r.Err != nil {
			suite.Tests, suite.Errors = suite.Tests+1, 1
			problem := &junitProblem{firstLine(r.Err.Error()), r.Err.Error()}
			suite.Cases = append(suite.Cases, junitCase{Class: r.Suite, Name: "the suite can be used", Time: seconds(0), Error: problem})
		}
		all.Suites = append(all.Suites, suite)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	out := xml.NewEncoder(w)
	out.Indent("", "  ")
	if err := out.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.6f", d.Seconds()) }
