package matrix

import (
	"bufio"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/ci/matrix/job"
	"github.com/skbench/skbench/harness/feature"
)

// story gives a collector records, written one a line: "> step" starts one, "< step: how" ends it, "! text" is a splat, "x state: why" cuts, and all
// else is go test -json, in short: "action test text".
func story(t *testing.T, c *collector, lines string) {
	t.Helper()
	for scanner := bufio.NewScanner(strings.NewReader(lines)); scanner.Scan(); {
		line := strings.TrimSpace(scanner.Text())
		kind, rest, _ := strings.Cut(line, " ")
		switch kind {
		case "":
		case ">":
			c.take(job.Record{Kind: job.Start, Step: rest})
		case "<":
			step, how, _ := strings.Cut(rest, ": ")
			c.take(job.Record{Kind: job.End, Step: step, Text: how})
		case "!":
			c.take(job.Record{Kind: job.Splat, Text: rest})
		case "x":
			state, why, _ := strings.Cut(rest, ": ")
			c.cut(job.State(state), why, "last lines")
		default:
			test, text, _ := strings.Cut(rest, " ")
			e := event{Action: kind, Test: test, Output: text + "\n"}
			if kind == "attr" {
				e.Key, e.Value, _ = strings.Cut(text, "=")
			}
			if kind == "fail" {
				c.event(cellName{c.step, test}, event{Action: "output", Test: test, Output: "--- FAIL: " + test + " (0.00s)\n"})
			}
			if kind == "dies" { // as test2json says it
				e.Action = "fail"
			}
			c.event(cellName{c.step, test}, e)
		}
	}
}

func TestCells(t *testing.T) {
	for _, test := range []struct {
		name, story string
		want        map[string]string // "state: reason" by name
		skip        string            // what the next boot leaves out
		ended       bool
	}{
		{
			name: "tests beside each other take their own ends",
			story: `> s
				run A
				pause A
				run B
				pause B
				cont A
				output A A_test.go:1: got 1
				fail A
				cont B
				pass B
				< s: exit status 1`,
			want: map[string]string{"A": "fail: got 1", "B": "pass: "}, ended: true, skip: "^A$|^B$",
		},
		{
			name: "a skip names the feature, or does not",
			story: `> s
				run A
				attr A unsupported=bpf_warp
				attr A since=9.9
				output A A_test.go:1: needs bpf_warp
				skip A
				run B
				output B B_test.go:1: not today
				skip B
				< s`,
			want: map[string]string{"A": "unsupported: needs bpf_warp", "B": "inconclusive: not today"}, ended: true, skip: "^A$|^B$",
		},
		{
			name: "a guest that dies takes the innermost test with it, and those that wait go on",
			story: `> s
				run A
				run A/one
				pass A/one
				run A/two
				run A/two/x
				run B
				pause B
				x crash: panic`,
			want: map[string]string{"A": "crash: panic", "A/one": "pass: ", "A/two": "crash: panic", "A/two/x": "crash: panic"}, skip: "^A$/^two$/^x$",
		},
		{
			name: "nor does it take a test that waits for its turn, however long its name",
			story: `> s
				run WaitsForItsTurn
				pause WaitsForItsTurn
				run A
				x crash: panic`,
			want: map[string]string{"A": "crash: panic"}, skip: "^A$",
		},
		{
			name: "a process that exits is no test that failed",
			story: `> s
				run A
				dies A
				< s: exit status 1`,
			want: map[string]string{"A": "crash: the process died (exit status 1)"}, skip: "^A$",
		},
		{
			name: "what the kernel writes fails the test that runs, and those around it",
			story: `> s
				run A
				run A/one
				! WARNING: at net/core/dev.c
				pass A/one
				pass A
				run B
				pass B
				< s`,
			want:  map[string]string{"A": "fail: the kernel complained: WARNING: at net/core/dev.c", "A/one": "fail: the kernel complained: WARNING: at net/core/dev.c", "B": "pass: "},
			ended: true, skip: "^A$|^B$",
		},
		{
			name: "or the one that ran last",
			story: `> s
				run A
				pass A
				! BUG: late
				< s`,
			want: map[string]string{"A": "fail: the kernel complained: BUG: late"}, ended: true, skip: "^A$",
		},
		{
			name: "a suite that dies before its first test is a cell itself",
			story: `> s
				< s: exit status 2`,
			want: map[string]string{wholeSuite: "crash: the process died (exit status 2)"}, skip: "^" + `\(the suite\)` + "$",
		},
		{
			name: "testify's message says more than its error",
			story: `> s
				run A
				output A A_test.go:9: 
				output A Error Trace: x/y/helper.go:9
				output A x/y/A_test.go:9
				output A Error: Should be true
				output A Messages: it is there on 5.10
				fail A
				< s: exit status 1`,
			want: map[string]string{"A": "fail: it is there on 5.10"}, ended: true, skip: "^A$",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCollector(&Column{Name: "k"}, t.TempDir(), func(string) {})
			story(t, c, test.story)
			got := map[string]string{}
			for _, cell := range c.cellsInOrder() {
				got[cell.Name] = string(cell.State) + ": " + cell.Reason
			}
			require.Equal(t, test.want, got)
			require.Equal(t, test.skip, c.skip("s", nil))
			require.Equal(t, test.ended, c.ended["s"])
		})
	}
}

func TestFindingsAreTakenOnce(t *testing.T) {
	c := newCollector(&Column{Name: "k"}, t.TempDir(), func(string) {})
	lines := `> s
		run A
		attr A finding={"kind":"hook","name":"TCX","state":"no","reason":"first in Linux 6.6"}
		attr A finding={"kind":"helper","name":"TCX","state":"yes"}`
	story(t, c, lines)
	story(t, c, lines)
	require.Len(t, c.column.Features, 2)
	require.Equal(t, feature.Finding{Kind: feature.Hook, Name: "TCX", State: feature.No, Reason: "first in Linux 6.6"}, c.column.Features[0])
}

func TestFilesStayBelowTheirFolder(t *testing.T) {
	out := t.TempDir()
	c := newCollector(&Column{Name: "k"}, out, func(string) {})
	story(t, c, `> s
		run A
		output A see /artefacts/verifier-1.log
		fail A`)
	c.take(job.Record{Kind: job.File, Step: "s", Text: "../../verifier-1.log", Data: job.Compress([]byte("R1 is no pointer"))})
	cell := c.cells[cellName{"s", "A"}]
	require.Equal(t, []string{"files/k/s/verifier-1.log"}, cell.Files)
	require.Contains(t, cell.Log, "R1 is no pointer")
	_, err := os.Stat(out + "/files/k/s/verifier-1.log")
	require.NoError(t, err)
}

func TestLongLogsAreCut(t *testing.T) {
	out := t.TempDir()
	c := newCollector(&Column{Name: "k"}, out, func(string) {})
	long := strings.Repeat("x", 2*maxLog)
	c.set(job.Cell{Suite: "s", Name: "A", State: job.Fail, Log: long})
	cell := c.cells[cellName{"s", "A"}]
	require.Less(t, len(cell.Log), maxLog+200)
	require.Contains(t, cell.Log, "files/k/s/A.log")
	text, err := os.ReadFile(out + "/files/k/s/A.log")
	require.NoError(t, err)
	require.Equal(t, long, string(text))
}
