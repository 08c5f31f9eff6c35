package bpf

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestSpans takes and gives back at random: nothing is handed out twice, what is retired not before it may be reused, and in
// the end all is free in one piece.
func TestSpans(t *testing.T) {
	t.Parallel()
	const size = 4 * MinMaglev
	rapid.Check(t, func(t *rapid.T) {
		s := newSpans(size)
		owner := make([]int, size)
		var taken, retired []span
		mark := func(of span, from, to int) {
			for i := of.first; i < of.end(); i++ {
				if owner[i] != from {
					t.Fatalf("number %d becomes %d, and was %d: want %d", i, to, owner[i], from)
				}
				owner[i] = to
			}
		}
		const free, used, seen = 0, 1, 2
		drop := func(t *rapid.T) span {
			if len(taken) == 0 {
				t.Skip("nothing is taken")
			}
			i := rapid.IntRange(0, len(taken)-1).Draw(t, "which")
			dropped := taken[i]
			taken = append(taken[:i], taken[i+1:]...)
			return dropped
		}
		t.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) {
				count := rapid.SampledFrom([]uint32{1, 2, 7, 1000, MinMaglev, 2 * MinMaglev}).Draw(t, "count")
				if first, ok := s.take(count); ok {
					taken = append(taken, span{first, count})
					mark(span{first, count}, free, used)
				}
			},
			"give": func(t *rapid.T) {
				given := drop(t)
				mark(given, used, free)
				s.give(given)
			},
			"retire": func(t *rapid.T) {
				given := drop(t)
				mark(given, used, seen)
				retired = append(retired, given)
				s.retire(given)
			},
			"reuse": func(*rapid.T) {
				for _, r := range retired {
					mark(r, seen, free)
				}
				retired = nil
				s.reuse()
			},
		})
		for _, left := range taken {
			s.give(left)
		}
		s.reuse()
		require.Equal(t, newSpans(size), s)
	})
}

// TestSpansOfOneLength fill the room, whatever short ones came before.
func TestSpansOfOneLength(t *testing.T) {
	t.Parallel()
	s := newSpans(4*MinMaglev + 10)
	for range 4 {
		_, ok := s.take(2)
		require.True(t, ok)
		_, ok = s.take(MinMaglev)
		require.True(t, ok)
	}
	_, ok := s.take(3)
	require.False(t, ok)
	first, ok := s.take(2)
	require.True(t, ok)
	require.EqualValues(t, 8, first)
}
