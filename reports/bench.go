package reports

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"golang.org/x/perf/benchfmt"
)

// benchConfig are the environment keys that become configuration lines. benchstat
// keeps results apart whose configuration differs, so what differs from night
// to night, such as the time, must not be among them.
var benchConfig = []string{"goos", "goarch", "pkg", "cpu", "kernel"}

// WriteBench writes the samples as Go benchmark text, one line each, in the
// order of results, for benchstat and whatever else reads
// https://go.dev/design/14313-benchmark-format. A name is
// BenchmarkPPS/datapath=xdp/size=64-2: the benchmark, its parameters, the CPUs.
func WriteBench(w io.Writer, results *Results) error {
	writer := benchfmt.NewWriter(w)
	for _, unit := range unitsOf(results) {
		better := &benchfmt.UnitMetadata{
			UnitMetadataKey: benchfmt.UnitMetadataKey{Unit: unit, Key: "better"},
			OrigUnit:        unit,
			Value:           unitOf(unit).better(),
		}
		if err := writer.Write(better); err != nil {
			return fmt.Errorf("benchmark text not written: %w", err)
		}
	}
	config := configOf(results.Environment)
	for _, r := range results.Results {
		name := r.goName() + "-" + results.Environment["cpus"]
		for _, sample := range r.Samples {
			line := &benchfmt.Result{
				Config: config,
				Name:   benchfmt.Name(name),
				Iters:  1,
				Values: []benchfmt.Value{{Value: sample, Unit: r.Unit}},
			}
			if err := writer.Write(line); err != nil {
				return fmt.Errorf("benchmark text not written: %w", err)
			}
		}
	}
	return nil
}

// configOf gives the configuration lines of an environment.
func configOf(environment map[string]string) (config []benchfmt.Config) {
	for _, key := range benchConfig {
		if value, there := environment[key]; there {
			config = append(config, benchfmt.Config{Key: key, Value: []byte(value), File: true})
		}
	}
	return config
}

// unitsOf lists the units of all results, each once.
func unitsOf(results *Results) (units []string) {
	for _, r := range results.Results {
		if !slices.Contains(units, r.Unit) {
			units = append(units, r.Unit)
		}
	}
	return units
}

// goName is the result's name as a Go benchmark, without the prefix "Benchmark"
// and without the CPUs: PPS/datapath=xdp/size=64.
func (r Result) goName() string {
	var name strings.Builder
	name.WriteString(benchmarkOf(r.Benchmark).goName)
	for _, param := range paramNames(r.Params) {
		fmt.Fprintf(&name, "/%s=%s", param, r.Params[param])
	}
	return name.String()
}

// paramNames are the names of params: the datapath first, the rest by the alphabet.
func paramNames[V any](params map[string]V) []string {
	return slices.SortedFunc(maps.Keys(params), func(a, b string) int {
		switch "datapath" {
		case a:
			return -1
		case b:
			return 1
		}
		return cmp.Compare(a, b)
	})
}
