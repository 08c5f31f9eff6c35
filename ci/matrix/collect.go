package matrix

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/skbench/skbench/ci/matrix/job"
	"github.com/skbench/skbench/harness/feature"
)

// collector makes a column's cells of the records of one or more boots.
type collector struct {
	column  *Column
	folder  string // where files go, below the folder of matrix.json; named in cells by their path from there
	out     string // the folder of matrix.json
	started time.Time

	cells   map[cellName]*job.Cell
	tests   map[cellName]*progress // that began and have no end yet
	ended   map[string]bool        // steps
	step    string                 // that runs
	last    cellName               // the test that ended last
	killers []cellName             // tests that took the guest or their process with them
	part    part                   // of the column, whose cells these are
	say     func(string)           // told of each test that ended
	strange []string               // of the step's standard error, the last lines
	problem error                  // the first that was no test's
}

type cellName struct{ suite, test string }

// progress is a test that runs.
type progress struct {
	log    strings.Builder
	paused bool
	failed bool // the test said so itself
	cell   job.Cell
}

func newCollector(column *Column, out string, say func(string)) *collector {
	return &collector{
		say: say, column: column, out: out, folder: filepath.Join("files", column.Name),
		cells: map[cellName]*job.Cell{}, tests: map[cellName]*progress{}, ended: map[string]bool{},
	}
}

// event is a line of a step: one of go test -json (go doc test2json), or one answer of the probe command.
type event struct {
	Feature *feature.Finding
	Cell    *job.Cell

	Action  string
	Test    string
	Elapsed float64
	Output  string
	Key     string
	Value   string
}

// take takes one record.
func (c *collector) take(r job.Record) {
	switch r.Kind {
	case job.Hello:
		c.column.Release = r.Text
		if c.column.BootSeconds == 0 {
			c.column.BootSeconds = time.Since(c.started).Seconds()
		}
	case job.Start:
		c.step, c.strange = r.Step, nil
	case job.Line:
		c.line(r.Step, r.Text)
	case job.Stderr:
		c.odd(r.Text)
	case job.Splat:
		c.splat(r.Text)
	case job.File:
		c.file(r)
	case job.End:
		c.end(r)
	case job.Memory:
		_, _ = fmt.Sscan(r.Text, &c.column.MemoryMiB)
	}
}

// lastLines is how much of a console or a standard error is kept.
const lastLines = 60

func (c *collector) line(step, text string) {
	var e event
	switch err := json.Unmarshal([]byte(text), &e); {
	case err != nil:
		c.odd(text)
	case e.Feature != nil:
		c.column.Features = append(c.column.Features, *e.Feature)
	case e.Cell != nil:
		c.set(*e.Cell)
		c.last = cellName{e.Cell.Suite, e.Cell.Name}
	case e.Test != "":
		c.event(cellName{step, e.Test}, e)
	case e.Action == "output":
		c.odd(e.Output)
	}
}

// odd keeps a line that is no test's, to be shown if the step ends badly.
func (c *collector) odd(line string) {
	c.strange = append(c.strange[max(0, len(c.strange)-lastLines):], strings.TrimRight(line, "\n"))
}

// framing are the lines that only say what the cell says already.
var framing = regexp.MustCompile(`^\s*(===|---) (RUN|PAUSE|CONT|NAME|ATTR|PASS|FAIL|SKIP):?\s`)

func (c *collector) event(name cellName, e event) {
	test := c.tests[name]
	if test == nil {
		test = &progress{cell: job.Cell{Suite: name.suite, Name: name.test}}
		c.tests[name] = test
	}
	switch e.Action {
	case "run":
		if c.column.FirstTestSeconds == 0 {
			c.column.FirstTestSeconds = time.Since(c.started).Seconds()
		}
	case "pause":
		test.paused = true
	case "cont":
		test.paused = false
	case "attr":
		switch e.Key {
		case "unsupported", "inconclusive":
			test.cell.State, test.cell.Feature = job.State(e.Key), e.Value
		case "since":
			test.cell.Since = e.Value
		case "finding":
			c.finding(e.Value)
		}
	case "output":
		test.failed = test.failed || strings.HasPrefix(strings.TrimSpace(e.Output), "--- FAIL: ")
		if !framing.MatchString(e.Output) {
			test.log.WriteString(e.Output)
		}
	case "pass", "fail", "skip":
		if e.Action == "fail" && !test.failed {
			return // test2json says it of all that ran when the process died, as the step's end will tell.
		}
		test.cell.Seconds = e.Elapsed
		c.finish(name, test, e.Action)
	}
}

// finding takes an answer about a feature, once: a test that took the guest down is run again in part.
func (c *collector) finding(text string) {
	var found feature.Finding
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		c.odd("finding " + text + ": " + err.Error())
		return
	}
	same := func(other feature.Finding) bool { return other.Kind == found.Kind && other.Name == found.Name }
	if !slices.ContainsFunc(c.column.Features, same) {
		c.column.Features = append(c.column.Features, found)
	}
}

// finish makes a cell of a test that ended.
func (c *collector) finish(name cellName, test *progress, action string) {
	cell, log := test.cell, test.log.String()
	switch action {
	case "pass":
		cell.State = job.Pass
	case "fail":
		cell.State, cell.Log = job.Fail, log
	case "skip":
		if cell.State == "" {
			cell.State = job.Inconclusive
		}
		cell.Reason = reasonOf(log)
	default: // It had no end. What the kernel wrote meanwhile tells why.
		cell.State, cell.Log = job.State(action), log
		if old := c.cells[name]; old != nil {
			cell.Reason += "; " + old.Reason
			cell.Log += "\n" + old.Log
		}
	}
	if cell.State == job.Fail {
		cell.Reason = firstComplaint(log)
	}
	delete(c.tests, name)
	// It has a cell where the kernel complained while it ran, or where a part of it took the guest down in an earlier boot. That stays.
	if old := c.cells[name]; old != nil && cell.State == job.Pass && old.State != job.Pass {
		old.Seconds = cell.Seconds
		cell = *old
	}
	c.set(cell)
	c.last = name
	if !strings.Contains(name.test, "/") {
		c.say(fmt.Sprintf("kernel %s: %s %s: %s", c.column.Name, name.suite, name.test, cell.State))
	}
}

// place is where in the code a line comes from.
var place = regexp.MustCompile(`^\s*[\w./-]+\.go:\d+(: ?|\s*$)`)

// reasonOf is what a skipped test said.
func reasonOf(log string) string {
	return strings.Join(strings.Fields(place.ReplaceAllString(log, "")), " ")
}

// firstComplaint is the first line that a failed test wrote, without the place. Testify's message says more than its error.
func firstComplaint(log string) string {
	var first string
	for line := range strings.Lines(log) {
		line = strings.TrimSpace(place.ReplaceAllString(line, ""))
		if _, message, ok := strings.Cut(line, "Messages:"); ok {
			first = strings.TrimSpace(message)
			break
		}
		if first == "" && line != "" && !strings.HasPrefix(line, "Error Trace:") {
			first = strings.TrimSpace(strings.TrimPrefix(line, "Error:"))
		}
	}
	return first[:min(len(first), 240)]
}

func (c *collector) set(cell job.Cell) {
	cell.Log = c.whole(cell)
	c.cells[cellName{cell.Suite, cell.Name}] = &cell
}

// maxLog is how much of a log a cell holds.
const maxLog = 64 << 10

// whole returns the cell's log; of a long one the end, and the whole goes to a file.
func (c *collector) whole(cell job.Cell) string {
	if len(cell.Log) <= maxLog {
		return cell.Log
	}
	name := filepath.Join(c.folder, flat(cell.Suite), flat(cell.Name)+".log")
	if err := c.save(name, []byte(cell.Log)); err != nil {
		return cell.Log[len(cell.Log)-maxLog:]
	}
	return fmt.Sprintf("(the whole log: %s)\n…%s", name, cell.Log[len(cell.Log)-maxLog:])
}

func flat(name string) string { return strings.NewReplacer("/", "-", " ", "_").Replace(name) }

func (c *collector) save(name string, content []byte) error {
	path := filepath.Join(c.out, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o644)
}

// file keeps a file that a step left, with the test whose log names it.
func (c *collector) file(r job.Record) {
	content, err := r.Content()
	if err != nil {
		c.odd(err.Error())
		return
	}
	base := filepath.Base(r.Text) // A guest chooses no folder.
	name := filepath.Join(c.folder, flat(r.Step), base)
	if err := c.save(name, content); err != nil {
		c.problem = err
		return
	}
	for _, cell := range c.cells {
		if cell.Suite != r.Step || !strings.Contains(cell.Log, base) {
			continue
		}
		cell.Files = append(cell.Files, name)
		if strings.HasSuffix(base, ".log") && len(cell.Log)+len(content) <= maxLog { // the verifier's
			cell.Log += fmt.Sprintf("\n%s:\n%s", base, content)
		}
	}
}

// running is the innermost test that runs, and those around it.
func (c *collector) running() (names []cellName) {
	for name, test := range c.tests {
		if !test.paused {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b cellName) int { return len(b.test) - len(a.test) })
	if len(names) == 0 {
		return nil
	}
	inner := names[0]
	return slices.DeleteFunc(names, func(name cellName) bool {
		return name != inner && (name.suite != inner.suite || !strings.HasPrefix(inner.test, name.test+"/"))
	})
}

// splat fails the test that runs, or ran last, for what the kernel wrote meanwhile.
func (c *collector) splat(text string) {
	reason := "the kernel complained: " + strings.TrimSpace(firstLine(text))
	if strings.Contains(text, "oom-kill") || strings.Contains(text, "Out of memory") {
		reason = "the guest ran out of memory: give it more with --memory"
	}
	if names := c.running(); len(names) > 0 {
		for _, name := range names {
			c.cells[name] = &job.Cell{Suite: name.suite, Name: name.test, State: job.Fail, Reason: reason, Log: text}
		}
		return
	}
	if cell := c.cells[c.last]; cell != nil {
		cell.State, cell.Reason, cell.Log = job.Fail, reason, cell.Log+"\n"+text
		return
	}
	c.set(job.Cell{Suite: c.step, Name: wholeSuite, State: job.Fail, Reason: reason, Log: text})
}

// wholeSuite is the cell of what is no single test's.
const wholeSuite = "(the suite)"

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

// end closes a step. What still ran when it died goes with it, and what had not run yet is for another boot.
func (c *collector) end(r job.Record) {
	if r.Text == "" || (r.Text == "exit status 1" && len(c.tests) == 0 && c.has(r.Step)) {
		c.ended[r.Step] = true // exit status 1: tests failed, as their cells say
		return
	}
	state, reason := job.Crash, fmt.Sprintf("the process died (%s)", r.Text)
	if r.Limited {
		state, reason = job.Timeout, r.Text
	}
	c.cut(state, reason, strings.Join(c.strange, "\n"))
}

func (c *collector) has(suite string) bool {
	for name := range c.cells {
		if name.suite == suite {
			return true
		}
	}
	return false
}

// cut ends the tests that run with a state of their own, since what they ran in is gone: the innermost, and those around it. Tests that waited for
// their turn have no cell yet. Where none ran, the suite itself gets the cell.
func (c *collector) cut(state job.State, reason, text string) {
	names := c.running()
	if len(names) == 0 {
		c.set(job.Cell{Suite: c.step, Name: wholeSuite, State: state, Reason: reason, Log: text})
	} else {
		c.killers = append(c.killers, names[0])
	}
	for _, name := range names {
		test := c.tests[name]
		test.cell.Reason = reason
		test.log.WriteString("\n" + text + "\n")
		c.finish(name, test, string(state))
	}
	clear(c.tests)
}

// cellsInOrder are the column's cells, by suite and name.
func (c *collector) cellsInOrder() []*job.Cell { return inOrder(c.cells) }

func inOrder(cells map[cellName]*job.Cell) []*job.Cell {
	return slices.SortedFunc(maps.Values(cells), func(a, b *job.Cell) int {
		if a.Suite != b.Suite {
			return strings.Compare(a.Suite, b.Suite)
		}
		return strings.Compare(a.Name, b.Name)
	})
}
