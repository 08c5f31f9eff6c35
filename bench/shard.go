package bench

import (
	"cmp"
	"fmt"
	"slices"
)

// Shard is one of so many parts of a run, on as many machines. Which benchmarks each
// has follows from the options alone, so the machines need not know of each other;
// reports put the results together.
type Shard struct{ Number, Of int }

// String is the form that UnmarshalText reads: "2/4".
func (s Shard) String() string { return fmt.Sprintf("%d/%d", s.Number, s.Of) }

// UnmarshalText reads "2/4": the second of four.
func (s *Shard) UnmarshalText(text []byte) error {
	var rest string
	n, _ := fmt.Sscanf(string(text), "%d/%d%s", &s.Number, &s.Of, &rest)
	if n != 2 || s.Number < 1 || s.Number > s.Of {
		return fmt.Errorf("%q is no shard: write 1/4 to 4/4 for the four parts of a run", text)
	}
	return nil
}

// take gives the shard its benchmarks, in their order: the longest ones first go to
// the shard that has the least to do so far.
func (s Shard) take(all []benchmark) ([]benchmark, error) {
	if s == (Shard{}) {
		return all, nil
	}
	if len(all) < s.Of {
		return nil, fmt.Errorf("bench: the run has %d benchmarks, too few for %d shards: take fewer shards", len(all), s.Of)
	}
	byLength := slices.Clone(all)
	slices.SortStableFunc(byLength, func(a, b benchmark) int { return cmp.Compare(b.seconds, a.seconds) })
	load, mine := make([]int, s.Of), map[string]bool{}
	for _, b := range byLength {
		least := slices.Index(load, slices.Min(load))
		load[least] += b.seconds
		mine[b.name] = least == s.Number-1
	}
	return slices.DeleteFunc(slices.Clone(all), func(b benchmark) bool { return !mine[b.name] }), nil
}
