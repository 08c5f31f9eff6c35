// Package reports turns measured results into things that people and tools
// read: plots as SVG and PNG, one self-contained HTML page, and Go benchmark
// text for benchstat. It reads files and writes files, and knows nothing of how
// a figure was measured but what the file says.
package reports

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// Schema names the only format of results.json that this package reads.
// results.schema.json describes it for other programs.
const Schema = "skbench/results/v1"

// Results is one run: everything it measured, and where.
type Results struct {
	Schema string `json:"schema"`

	// Environment says where and when the run happened: time (RFC 3339), kernel, cpu
	// (the model's name), cpus (how many), goos and goarch are always there.
	Environment map[string]string `json:"environment"`

	// Results stand in the order in which they are to be shown.
	Results []Result `json:"results"`

	// Checks are what the run found about itself, in order; after a merge several
	// may have one name. When one is not passed, Environment has "untrusted".
	Checks []Check `json:"checks,omitempty"`

	// Absent is what the run should have measured and could not.
	Absent []Absence `json:"absent,omitempty"`
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

// Result is the samples of one benchmark at one choice of its parameters.
type Result struct {
	Benchmark string            `json:"benchmark"` // "pps"
	Params    map[string]string `json:"params"`    // "datapath": "xdp"
	Unit      string            `json:"unit"`      // "packets/s"
	Samples   []float64         `json:"samples"`   // in the order in which they were taken
	Median    float64           `json:"median"`

	// Low and High bound the median with a confidence of 95 %, by order
	// statistics; with fewer than 6 samples they are the smallest and the largest.
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// ReadResults reads the results.json at path. It refuses what it cannot vouch
// for: another schema, JSON that is cut short, missing or unknown fields, numbers
// that are none, and a median or interval that the samples do not bear out. Its
// error names the file, each place found wrong, and the mend.
func ReadResults(path string) (*Results, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("results not readable: %w: measure first with: skbench bench --out DIR", err)
	}
	file, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	results, problems := file.check()
	for i, problem := range problems {
		problems[i] = fmt.Errorf("%s: %w", path, problem)
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return results, nil
}

// file is results.json as written. Pointers tell what is missing from what is zero.
type file struct {
	Schema      *string           `json:"schema"`
	Environment map[string]string `json:"environment"`
	Results     []fileResult      `json:"results"`
	Checks      []Check           `json:"checks"`
	Absent      []Absence         `json:"absent"`
}

type fileResult struct {
	Benchmark *string           `json:"benchmark"`
	Params    map[string]string `json:"params"`
	Unit      *string           `json:"unit"`
	Samples   []*float64        `json:"samples"`
	Median    *float64          `json:"median"`
	Low       *float64          `json:"low"`
	High      *float64          `json:"high"`
}

// parse decodes text. The schema is judged before the fields, since another
// schema has other fields.
func parse(text []byte) (*file, error) {
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, placed(err, text)
	}
	if head.Schema != Schema {
		return nil, fmt.Errorf("schema is %q, and this skbench reads %s: render with the skbench that wrote the file, or measure again",
			head.Schema, Schema)
	}
	var f file
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&f); err != nil {
		return nil, placed(err, text)
	}
	return &f, nil
}

// placed adds line and mend to a decoding error.
func placed(err error, text []byte) error {
	line := func(offset int64) int { return 1 + bytes.Count(text[:offset], []byte("\n")) }
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax) && syntax.Offset >= int64(len(text)):
		return fmt.Errorf("line %d: JSON is cut short: the run was interrupted, measure again", line(syntax.Offset))
	case errors.As(err, &syntax):
		return fmt.Errorf("line %d: not JSON, which has no NaN and no Infinity: %w: measure again", line(syntax.Offset), err)
	case errors.As(err, &kind):
		return fmt.Errorf("line %d: %s does not take this %s: write it as results.schema.json says",
			line(kind.Offset), cmp.Or(kind.Field, "the file"), kind.Value)
	default: // a field that the decoder does not know
		return fmt.Errorf("%w: write only what results.schema.json names", err)
	}
}
