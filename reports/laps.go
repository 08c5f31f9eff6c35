package reports

import (
	"slices"

	"golang.org/x/perf/benchmath"
)

// A run goes through its benchmarks in laps, and brings up anew in each what it measures. Samples of one lap are alike in what
// differs from one to the next and from run to run: where maps lie in memory, and what the machine's neighbours do. So many
// samples of few laps would seem surer than they are. Where there are enough laps, each counts as one value, its median.

// isLapped tells whether the result has enough laps to be judged by them.
func (r *Result) isLapped() bool { return r.Laps >= fewSamples }

// medians are those of the laps; values are one for each sample.
func (r *Result) medians(values []float64) (all []float64) {
	for lap := range slices.Chunk(values, len(values)/r.Laps) {
		all = append(all, summaryOf(slices.Clone(lap)).Center)
	}
	return all
}

// sumUp is the median of values, one for each sample, and its interval. Too few bound nothing, and the interval is from the smallest
// to the largest.
func (r *Result) sumUp(values []float64) benchmath.Summary {
	s := summaryOf(slices.Clone(values))
	center := s.Center
	if r.isLapped() {
		values = r.medians(values)
		s = summaryOf(slices.Clone(values))
	}
	low, high := max(s.Lo, slices.Min(values)), min(s.Hi, slices.Max(values))
	s.Center, s.Lo, s.Hi = center, min(low, center), max(high, center) // the median of all is not one of the laps'
	return s
}
