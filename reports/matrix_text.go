package reports

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
)

// writeMatrixMarkdown writes what a pull request or a job's summary shows: the verdict, what goes wrong, a table of the tests, one of the programs.
func writeMatrixMarkdown(w *bytes.Buffer, m *Matrix) error {
	p := pageOfMatrix(m)
	fmt.Fprintf(w, "## %s\n\n", m.Verdict())
	for _, t := range p.Trouble {
		fmt.Fprintf(w, "- %s\n", inCell(t))
	}
	if len(p.Trouble) > 0 {
		w.WriteByte('\n')
	}
	for _, s := range p.Suites {
		writeMarkdownTable(w, s.Name, p.Kernels, s.Groups)
	}
	for _, s := range p.Programs {
		writeMarkdownTable(w, "programs of "+s.Name+": instructions verified", p.Kernels, s.Groups)
	}
	return nil
}

func writeMarkdownTable(w *bytes.Buffer, title string, kernels []pageKernel, groups []pageGroup) {
	fmt.Fprintf(w, "| %s |", inCell(title))
	for _, k := range kernels {
		fmt.Fprintf(w, " %s |", inCell(k.Name))
	}
	w.WriteString("\n| --- |" + strings.Repeat(" :-: |", len(kernels)) + "\n")
	for _, g := range groups {
		fmt.Fprintf(w, "| %s |", inCell(g.Top.Name))
		for _, c := range g.Top.Cells {
			text := strings.TrimSpace(c.Text + " " + c.Note)
			if c.State.bad() {
				text = "**" + text + "**"
			}
			fmt.Fprintf(w, " %s |", inCell(text))
		}
		w.WriteByte('\n')
	}
	w.WriteByte('\n')
}

// inCell keeps text from ending a cell of a table.
func inCell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;").Replace(text)
}

// The elements of JUnit's format, as the tools that show it read them.
type (
	junitSuites struct {
		XMLName xml.Name     `xml:"testsuites"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Time     string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string     `xml:"classname,attr"`
		Name    string     `xml:"name,attr"`
		Time    string     `xml:"time,attr"`
		Failure *junitText `xml:"failure"`
		Error   *junitText `xml:"error"`
		Skipped *junitText `xml:"skipped"`
	}
	junitText struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// writeMatrixJUnit writes a suite for each kernel. A crash, a time-out and a kernel that could not be run are errors.
func writeMatrixJUnit(w *bytes.Buffer, m *Matrix) error {
	var all junitSuites
	for _, k := range m.Kernels {
		s := junitSuite{Name: k.Name, Time: fmt.Sprintf("%.3f", k.Seconds)}
		if k.Problem != "" {
			s.add(junitCase{Class: k.Name, Name: "(the kernel)", Error: &junitText{k.Problem, printable(k.Console)}})
		}
		for _, c := range k.Cells {
			one := junitCase{Class: k.Name + "." + c.Suite, Name: c.Name, Time: fmt.Sprintf("%.3f", c.Seconds)}
			text := &junitText{Message: printable(c.Reason), Text: printable(c.Log)}
			switch c.State {
			case Fail:
				one.Failure = text
			case Crash, TimeOut:
				text.Message = string(c.State) + ": " + text.Message
				one.Error = text
			case Unsupported, Inconclusive:
				text.Message = string(c.State) + ": " + text.Message
				one.Skipped = text
			}
			s.add(one)
		}
		all.Suites = append(all.Suites, s)
	}
	return encodeJUnit(w, all)
}

func (s *junitSuite) add(c junitCase) {
	s.Tests++
	switch {
	case c.Failure != nil:
		s.Failures++
	case c.Error != nil:
		s.Errors++
	case c.Skipped != nil:
		s.Skipped++
	}
	s.Cases = append(s.Cases, c)
}

// printable leaves out what XML cannot hold.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, text)
}
