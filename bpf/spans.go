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

// take returns the first of count neighbours; there is none for a count of 0.
func (s *spans) take(count uint32) (first uint32, ok bool) {
	for i := range s.free {
		f := &s.free[i]
		if f.count < count {
			continue
		}
		first = f.first
		f.first += count
		f.count -= count
		if f.count == 0 {
			s.free = slices.Delete(s.free, i, i+1)
		}
		return first, true
	}
	return 0, false
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
