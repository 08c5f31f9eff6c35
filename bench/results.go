package bench

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/perf/benchmath"
)

// Schema is the format of results.json.
const Schema = "skbench/results/v1"

// confidence is that of each result's interval.
const confidence = 0.95

// Results is one run: everything that was measured, and where.
type Results struct {
	Schema      string            `json:"schema"`
	Environment map[string]string `json:"environment"`
	Results     []Result          `json:"results"`
	Checks      []Check           `json:"checks,omitempty"` // that the run made of itself
	Absent      []Absence         `json:"absent,omitempty"` // what this machine cannot measure
}

// Check is one thing that a run looks at to know whether its figures can be trusted.
type Check struct {
	Name   string `json:"name"`
	Passed bool   `json:"passed"`
	Says   string `json:"says"` // one sentence with the figures, and the limit
}

// Absence is a benchmark, at some of its parameters, that this machine cannot run.
type Absence struct {
	Benchmark string            `json:"benchmark"`
	Params    map[string]string `json:"params"`
	Reason    string            `json:"reason"` // one sentence
}

// Result is the samples of one benchmark at one choice of its parameters, in the
// order in which they were taken. Low and High bound the median with a confidence
// of 95 %, by order statistics, which suppose nothing of how samples spread: of the medians of
// the laps, where there are enough of them, since samples of one lap are alike in what differs
// from one to the next.
type Result struct {
	Benchmark string            `json:"benchmark"`
	Params    map[string]string `json:"params"`
	Unit      string            `json:"unit"`
	Laps      int               `json:"laps"` // in which the samples were taken, as many in each
	Samples   []float64         `json:"samples"`
	Median    float64           `json:"median"`
	Low       float64           `json:"low"`
	High      float64           `json:"high"`

	// Empty is what the empty path had in the same rounds, a figure for each sample and in
	// the same unit: a sample divided by it does not depend on how fast the machine was.
	Empty []float64 `json:"empty,omitempty"`
}

// fewLaps is the least number of laps whose medians have an interval of 95 %.
const fewLaps = 6

// summarise computes median and interval. Too few samples bound nothing, and the interval is
// from the smallest to the largest.
func (r *Result) summarise() {
	summaryOf := func(values []float64) benchmath.Summary {
		return benchmath.AssumeNothing.Summary(benchmath.NewSample(slices.Clone(values), &benchmath.DefaultThresholds), confidence)
	}
	values, summary := r.Samples, summaryOf(r.Samples)
	r.Median = summary.Center
	if r.Laps >= fewLaps {
		values = r.lapMedians()
		summary = summaryOf(values)
	}
	r.Low, r.High = max(summary.Lo, slices.Min(values)), min(summary.Hi, slices.Max(values))
	r.Low, r.High = min(r.Low, r.Median), max(r.High, r.Median) // the median of all is not one of the laps'
}

func (r *Result) lapMedians() (all []float64) {
	for lap := range slices.Chunk(r.Samples, len(r.Samples)/r.Laps) {
		all = append(all, median(lap))
	}
	return all
}

// add records the samples of a lap, and beside them those of the empty path from the same
// rounds; nil where there is none, or there was none in a lap before. Those of a later lap have
// as many samples as those of the first.
func (r *Results) add(benchmark string, params map[string]string, unit string, samples, empty []float64) {
	i := slices.IndexFunc(r.Results, func(known Result) bool {
		return known.Benchmark == benchmark && known.Unit == unit && maps.Equal(known.Params, params)
	})
	if i < 0 {
		i = len(r.Results)
		r.Results = append(r.Results, Result{Benchmark: benchmark, Params: params, Unit: unit})
	}
	result := &r.Results[i]
	result.Laps++
	result.Samples = append(result.Samples, samples...)
	if result.Empty = append(result.Empty, empty...); len(result.Empty) != len(result.Samples) {
		result.Empty = nil
	}
	result.summarise()
}

// addAlone records what is left of samples without the empty path.
func (r *Results) addAlone(benchmark string, params map[string]string, unit string, samples, empty []float64) {
	r.add(benchmark, params, unit, difference(samples, empty), empty)
}

// difference subtracts the samples of one side from another's, round by round.
func difference(of, from []float64) []float64 {
	all := make([]float64, len(of))
	for i := range of {
		all[i] = of[i] - from[i]
	}
	return all
}

// Write writes results.json into a folder, made if it is not there. A reader
// never sees half of it.
func (r *Results) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("bench: make the report's folder: %w", err)
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("bench: encode the results: %w", err)
	}
	path := filepath.Join(dir, "results.json")
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("bench: write the results: %w", err)
	}
	return os.Rename(path+".new", path)
}
