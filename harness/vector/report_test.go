package vector_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness/vector"
)

// results are what three suites came to: one good, one with a failure, one that cannot be used.
var results = []*vector.Result{
	{Suite: "good", File: "good.yaml", Vectors: []vector.VectorResult{{Name: "the one", Duration: time.Millisecond, Log: []string{"it says"}}}, Duration: 2 * time.Millisecond},
	{Suite: "bad", Vectors: []vector.VectorResult{
		{Name: "a b"},
		{Name: "d", Skipped: "no IPv6", Log: []string{"one", "no IPv6"}},
		{Name: "c", Failure: &vector.Failure{Step: 2, Program: "p<>", Differences: "verdict: want 1, got 2\nmore", Capture: "/tmp/x.pcapng"}},
	}},
	{Suite: "ugly", File: "ugly.yaml", Err: errors.New("ugly.yaml:1:2: no")},
}

func TestTerseReport(t *testing.T) {
	var out bytes.Buffer
	var report vector.Report
	for _, r := range results {
		require.NoError(t, report.Suite(&out, r))
	}
	require.NoError(t, report.End(&out, results))
	require.Equal(t, `ok    good  1 vector  2ms
FAIL  bad  3 vectors  0s
      d: skipped: no IPv6
      c
        step 2, program p<>
        verdict: want 1, got 2
        more
        capture: /tmp/x.pcapng
FAIL  ugly  0 vectors  0s
      ugly.yaml:1:2: no
2 passed, 1 failed, 1 skipped
`, out.String())
}

func TestEventsOfGoTest(t *testing.T) {
	var out bytes.Buffer
	for _, r := range results {
		require.NoError(t, vector.WriteEvents(&out, r))
	}
	var said []string
	for lines := bufio.NewScanner(&out); lines.Scan(); {
		var e struct {
			Action, Package, Test, Output string
			Elapsed                       float64
			Time                          time.Time
		}
		decoder := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		decoder.DisallowUnknownFields()
		require.NoError(t, decoder.Decode(&e))
		require.NotZero(t, e.Time)
		said = append(said, strings.TrimRight(strings.Join([]string{e.Action, e.Package, e.Test, e.Output}, " "), " \n"))
	}
	require.Equal(t, []string{
		"start good", "run good the_one", "output good the_one     it says", "pass good the_one", "pass good",
		"start bad", "run bad a_b", "pass bad a_b", "run bad d", "output bad d     no IPv6", "skip bad d", "run bad c",
		"output bad c     step 2, program p<>", "output bad c     verdict: want 1, got 2", "output bad c     more", "output bad c     capture: /tmp/x.pcapng",
		"fail bad c", "fail bad",
		"start ugly", "output ugly  ugly.yaml:1:2: no", "fail ugly",
	}, said)
}

func TestJUnit(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, vector.WriteJUnit(&out, results))
	var read struct {
		Suites []struct {
			Name     string `xml:"name,attr"`
			Tests    int    `xml:"tests,attr"`
			Failures int    `xml:"failures,attr"`
			Errors   int    `xml:"errors,attr"`
			Skipped  int    `xml:"skipped,attr"`
			Cases    []struct {
				Name    string `xml:"name,attr"`
				Failure *struct {
					Message string `xml:"message,attr"`
					Text    string `xml:",chardata"`
				} `xml:"failure"`
				Error *struct {
					Message string `xml:"message,attr"`
				} `xml:"error"`
				Skipped *struct {
					Message string `xml:"message,attr"`
				} `xml:"skipped"`
				Output string `xml:"system-out"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	require.NoError(t, xml.Unmarshal(out.Bytes(), &read), out.String())
	require.Len(t, read.Suites, 3)
	require.Equal(t, "it says", read.Suites[0].Cases[0].Output)
	require.Equal(t, 3, read.Suites[1].Tests)
	require.Equal(t, 1, read.Suites[1].Skipped)
	require.Equal(t, "no IPv6", read.Suites[1].Cases[1].Skipped.Message)
	require.Equal(t, 1, read.Suites[1].Failures)
	require.Nil(t, read.Suites[1].Cases[0].Failure)
	require.Equal(t, "verdict: want 1, got 2", read.Suites[1].Cases[2].Failure.Message)
	require.Contains(t, read.Suites[1].Cases[2].Failure.Text, "program p<>")
	require.Equal(t, 1, read.Suites[2].Errors)
	require.Equal(t, "ugly.yaml:1:2: no", read.Suites[2].Cases[0].Error.Message)
}
