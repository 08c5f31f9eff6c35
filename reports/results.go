// Package reports turns measured results into things that people and tools
// read: plots as SVG and PNG, one self-contained HTML page, Go benchmark text for
// benchstat, JUnit, Markdown. It compares runs, joins the parts of one, and follows
// figures over many nights. It reads files and writes files, and knows nothing of
// how a figure was measured but what the file says.
//
//	run, err := reports.Render("out/bench", reports.Options{Against: "history/2026-01-30"})
//	fmt.Println(run.Verdict())
//	return run.Err()
package reports

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Schema names the only format of results.json that this package reads.
// results.schema.json describes it for other programs.
const Schema = "skbench/results/v1"

// resultsFile is what a run is called in its folder.
const resultsFile = "results.json"

// Results is one run: everything it measured, and where.
type Results struct {
	Schema string `json:"schema"`

	// Environment says where and when the run happened: time (RFC 3339), kernel, cpu
	// (the model's name), cpus (how many), goos and goarch are always there, unless
	// Problems says otherwise. A run that is not to be trusted says why under
	// "untrusted", and a part of a run which one it is under "shard": 2/5.
	Environment map[string]string `json:"environment"`

	// Results stand in the order in which they are to be shown.
	Results []Result `json:"results"`

	// Checks are what the run found about itself, in order; after a merge several
	// may have one name. When one is not passed, Environment has "untrusted".
	Checks []Check `json:"checks,omitempty"`

	// Absent is what the run should have measured and could not.
	Absent []Absence `json:"absent,omitempty"`

	// Problems are the places that could not be taken, of this file or of those that
	// it was joined from. What they held is in none of the above.
	Problems []Problem `json:"problems,omitempty"`
}

// Result is the samples of one benchmark at one choice of its parameters.
type Result struct {
	Benchmark string            `json:"benchmark"`      // "pps"
	Params    map[string]string `json:"params"`         // "datapath": "xdp"
	Unit      string            `json:"unit"`           // "packets/s"
	Laps      int               `json:"laps,omitempty"` // of the run, in which the samples were taken, as many in each; 0 is 1
	Samples   []float64         `json:"samples"`        // in the order in which they were taken
	Median    float64           `json:"median"`

	// Low and High bound the median with a confidence of 95 %, by order
	// statistics: of the laps' medians if there are at least 6 laps, else of the samples;
	// with fewer than 6 of these they are the smallest and the largest.
	Low  float64 `json:"low"`
	High float64 `json:"high"`

	// Empty is what the empty path had in the same rounds, a figure for each sample and in
	// the same unit, or nil where it was not measured beside.
	Empty []float64 `json:"empty,omitempty"`
}

// Check is one thing that a run looked at to know whether its own figures can be
// trusted.
type Check struct {
	Name   string `json:"name"` // "a-a", "generator", "foreign-load", …
	Passed bool   `json:"passed"`
	Says   string `json:"says"` // one sentence with the figures, and the limit
}

// Absence is a benchmark, at some of its parameters, that this machine could not
// run.
type Absence struct {
	Benchmark string            `json:"benchmark"`
	Params    map[string]string `json:"params"` // all of these are missing: "datapath": "ipvs"
	Reason    string            `json:"reason"` // one sentence
}

// Problem is a place in a file that could not be taken, and what to do about it.
type Problem struct {
	File string `json:"file"`
	Line int    `json:"line"` // from 1; 0 when it is the whole file
	Text string `json:"text"`
}

// Error writes the problem as compilers do: file:line: text.
func (p Problem) Error() string {
	if p.Line == 0 {
		return p.File + ": " + p.Text
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
}

// ReadResults reads a run: the results.json at path, or in the folder at path, or a
// file of Go benchmark text, which is known by not beginning with a brace. What it cannot vouch for is left out
// and named in Problems: JSON that is cut short, lines that do not parse, missing or
// unknown fields, numbers that are none, and a median or interval that the samples
// do not bear out. It is an error when nothing is left, or the file has another schema.
func ReadResults(path string) (*Results, error) {
	given := path
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, resultsFile)
	}
	text, err := os.ReadFile(path)
	if IsMatrix(given) && (err != nil || path == given) {
		return nil, fmt.Errorf("%s is a matrix, which has no figures: name a run of skbench bench", given)
	}
	if err != nil {
		return nil, fmt.Errorf("results not readable: %w: measure first with: skbench bench --out DIR", err)
	}
	read := readBench
	if strings.HasSuffix(path, ".json") || strings.HasPrefix(strings.TrimSpace(string(text)), "{") {
		read = readJSON
	}
	results, err := read(path, text)
	if err != nil {
		return nil, err
	}
	if len(results.Results) == 0 {
		all := []error{fmt.Errorf("%s holds no figure that can be read: measure again", path)}
		for _, p := range results.Problems {
			all = append(all, p)
		}
		return nil, errors.Join(all...)
	}
	return results, nil
}

// complain adds a problem.
func (r *Results) complain(file string, line int, format string, args ...any) {
	r.Problems = append(r.Problems, Problem{file, line, fmt.Sprintf(format, args...)})
}
