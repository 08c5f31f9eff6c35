package reports

import (
	"math"
	"slices"
	"sort"
	"sync"

	"golang.org/x/perf/benchmath"
)

// doubt is the p above which a change is among those that the samples allow: they bound it
// with a confidence of 95 %.
const doubt = 0.05

// allowed bounds by how much the figures changed from old to new: all changes that, were the
// old samples changed so, would leave the U test (Mann-Whitney) unable to tell them from the
// new ones. It is narrower than what the two medians' own intervals leave between them, which
// would both have to be wrong at once.
//
// The test counts the pairs of an old and a new sample of which the new one is larger, and so
// changes its answer only where a change equals the ratio of a pair.
func allowed(old, new []float64) (low, high float64) {
	ratios := make([]float64, 0, len(old)*len(new))
	for _, a := range old {
		for _, b := range new {
			if a > 0 {
				ratios = append(ratios, b/a)
			} else { // a difference may be, by chance: it is less than b whatever it is multiplied by
				ratios = append(ratios, math.Inf(1))
			}
		}
	}
	slices.Sort(ratios)
	first := max(0, tellingPairs(len(old), len(new))-1)
	return ratios[first] - 1, ratios[len(ratios)-1-first] - 1
}

// tellingPairs is the least number of pairs whose new sample is larger that leaves the U test
// in doubt, of so many old and new samples.
func tellingPairs(old, new int) int {
	key := [2]int{old, new}
	if known, ok := telling.Load(key); ok {
		return known.(int)
	}
	least := sort.Search(old*new/2, func(pairs int) bool { return alikeness(samplesWith(pairs, old, new)) >= doubt })
	telling.Store(key, least)
	return least
}

var telling sync.Map // of numbers of samples: what tellingPairs found

// samplesWith makes samples of which so many pairs have the larger one in b.
func samplesWith(pairs, old, new int) (a, b []float64) {
	for i := range old {
		a = append(a, float64(i))
	}
	for i := range new {
		below := min(old, max(0, pairs-i*old)) // of a
		b = append(b, float64(below)-0.75+float64(i)/float64(2*new))
	}
	return a, b
}

// alikeness is the probability that samples of one and the same distribution lie as far apart
// as these do (Mann-Whitney U test, two-sided).
func alikeness(a, b []float64) float64 {
	sample := func(values []float64) *benchmath.Sample {
		return benchmath.NewSample(slices.Clone(values), &benchmath.DefaultThresholds)
	}
	return benchmath.AssumeNothing.Compare(sample(a), sample(b)).P
}
