package bpf

import (
	"cmp"
	"slices"
)

// spans hands out the numbers of an array map, any count of neighbours at a time, from 0 on. Numbers that programs may still
// be reading are retired first, and free only once nobody can.
type spans struct {
	free    []span // in order, no two of them neighbours
	retired []span
}

type span struct{ first, count uint32 }

func (s span) end() uint32 { return s.first + s.count }

func newSpans(size uint32) spans { return spans{free: []span{{0, size}}} }

// take returns the first of count neighbours. Many are taken from the end, so that few, which are taken from the start, do not
// cut up the room for them: Maglev tables are of one size as a rule, and fill it without gaps.
func (s *spans) take(count uint32) (first uint32, ok bool) {
	fits := func(f span) bool { return f.count >= count }
	if count < MinMaglev {
		i := slices.IndexFunc(s.free, fits)
		if i < 0 {
			return 0, false
		}
		first = s.free[i].first
		s.free[i].first += count
		s.shrink(i, count)
		return first, true
	}
	for i := len(s.free) - 1; i >= 0; i-- {
		if fits(s.free[i]) {
			first = s.free[i].end() - count
			s.shrink(i, count)
			return first, true
		}
	}
	return 0, false
}

// shrink takes count away from a free span.
func (s *spans) shrink(i int, count uint32) {
	if s.free[i].count -= count; s.free[i].count == 0 {
		s.free = slices.Delete(s.free, i, i+1)
	}
}

// give takes back what no program has ever seen.
func (s *spans) give(returned span) {
	if returned.count == 0 {
		return
	}
	i, _ := slices.BinarySearchFunc(s.free, returned, func(a, b span) int { return cmp.Compare(a.first, b.first) })
	if i < len(s.free) && returned.end() == s.free[i].first {
		returned.count += s.free[i].count
		s.free = slices.Delete(s.free, i, i+1)
	}
	if i > 0 && s.free[i-1].end() == returned.first {
		s.free[i-1].count += returned.count
		return
	}
	s.free = slices.Insert(s.free, i, returned)
}

// retire takes back what programs may have seen.
func (s *spans) retire(returned span) {
	if returned.count != 0 {
		s.retired = append(s.retired, returned)
	}
}

// reuse makes what is retired free. No program may be reading it.
func (s *spans) reuse() {
	for _, r := range s.retired {
		s.give(r)
	}
	s.retired = nil
}
