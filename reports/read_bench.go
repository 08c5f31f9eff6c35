package reports

import (
	"bytes"
	"math"
	"regexp"
	"strings"

	"golang.org/x/perf/benchfmt"
)

// readBench reads Go benchmark text: what WriteBench wrote, or any other. A line that
// does not parse is named and left out.
func readBench(path string, text []byte) (*Results, error) {
	results := &Results{Schema: Schema, Environment: map[string]string{}}
	samples := map[string]*Result{}
	var order []string
	reader := benchfmt.NewReader(bytes.NewReader(text), path)
	for reader.Scan() {
		switch record := reader.Result().(type) {
		case *benchfmt.SyntaxError:
			results.complain(path, record.Line, "%s: write it as benchstat reads it, or measure again", record.Msg)
		case *benchfmt.Result:
			_, line := record.Pos()
			for _, c := range record.Config {
				if err := checkEntry(c.Key, string(c.Value)); err == nil && c.File {
					results.Environment[c.Key] = string(c.Value)
				}
			}
			benchmark, params, cpus := parseName(record.Name)
			if cpus != "" {
				results.Environment["cpus"] = cpus
			}
			for _, value := range record.Values {
				unit, sample := value.Unit, value.Value
				if value.OrigUnit != "" {
					unit, sample = value.OrigUnit, value.OrigValue
				}
				r := &Result{Benchmark: benchmark, Params: params, Unit: unit, Laps: 1}
				if math.IsNaN(sample) || math.IsInf(sample, 0) {
					results.complain(path, line, "%s in %s is %v, which is no figure: measure again", r.goName(), unit, sample)
					continue
				}
				known, there := samples[r.identity()]
				if !there {
					known = r
					samples[r.identity()] = r
					order = append(order, r.identity())
				}
				known.Samples = append(known.Samples, sample)
			}
		}
	}
	if err := reader.Err(); err != nil {
		return nil, err
	}
	for _, identity := range order {
		r := samples[identity]
		r.summarise()
		results.Results = append(results.Results, *r)
	}
	return results, nil
}

// notInNames is what a benchmark or parameter must not hold.
var notInNames = regexp.MustCompile(`[^a-z0-9-]+`)

// parseName takes PPS/datapath=xdp/size=64-2 apart. A part that has no name is a case.
func parseName(name benchfmt.Name) (benchmark string, params map[string]string, cpus string) {
	base, parts := name.Parts()
	benchmark = benchmarkNamed(string(base))
	params = map[string]string{}
	for _, part := range parts {
		switch text := string(part); {
		case strings.HasPrefix(text, "-"):
			cpus = text[1:]
		default:
			key, value, named := strings.Cut(strings.TrimPrefix(text, "/"), "=")
			if !named {
				key, value = "case", key
			}
			params[plainName(key)] = value
		}
	}
	return benchmark, params, cpus
}

// benchmarkNamed is the benchmark whose name in Go is base.
func benchmarkNamed(base string) string {
	for name, b := range benchmarks {
		if b.goName == base {
			return name
		}
	}
	return plainName(base)
}

// plainName makes a name one of those that results.json takes.
func plainName(name string) string {
	plain := strings.Trim(notInNames.ReplaceAllString(strings.ToLower(name), "-"), "-")
	if !namePattern.MatchString(plain) {
		return "x" + plain
	}
	return plain
}

// summarise computes median and interval of the samples.
func (r *Result) summarise() {
	s := r.sumUp(r.Samples)
	r.Median, r.Low, r.High = s.Center, s.Lo, s.Hi
}
