package bpf

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
)

// A Maglev table has a prime number of entries in this range: 16381, 32749, 65521 and 65537 are good ones. With fewer entries
// than that a backend that goes would take more than 2 % of the others' flows along, however few backends there are; with
// them it takes less wherever there are 100 entries or more for each backend.
const (
	MinMaglev = 16381
	MaxMaglev = 65537
)

// maglev fills a table of size entries with the indexes of backends, as section 3.4 of "Maglev: A Fast and Reliable Software
// Network Load Balancer" (Eisenbud et al., NSDI 2016) does: each backend has a preference list, a permutation of the entries
// that its name alone decides, and backends take turns in taking the first free entry of their lists. So the table is full
// and even (two backends' entries differ by at most one), it is the same wherever the same names come in the same order, and
// a backend that goes moves few entries but its own. Size must be a prime, or the lists are no permutations.
func maglev(names []string, size int) []uint32 {
	if len(names) == 0 {
		return nil
	}
	m := uint32(size)
	lists := make([]preferences, len(names))
	for i, name := range names {
		hash := sha256.Sum256([]byte(name))
		lists[i] = preferences{
			next: uint32(binary.BigEndian.Uint64(hash[:8]) % uint64(m)),
			skip: uint32(binary.BigEndian.Uint64(hash[8:16])%uint64(m-1)) + 1,
		}
	}
	table, taken := make([]uint32, m), make([]bool, m)
	for filled := uint32(0); ; {
		for i := range lists {
			l := &lists[i]
			for taken[l.next] {
				l.advance(m)
			}
			table[l.next], taken[l.next] = uint32(i), true
			if filled++; filled == m {
				return table
			}
		}
	}
}

// preferences is a backend's list of entries, of which it walks along.
type preferences struct{ next, skip uint32 }

func (l *preferences) advance(m uint32) {
	if l.next += l.skip; l.next >= m {
		l.next -= m
	}
}

func checkMaglev(size, backends int) error {
	switch {
	case size == 0:
		return nil
	case size < MinMaglev || size > MaxMaglev || !big.NewInt(int64(size)).ProbablyPrime(0): // exact below 2^64
		return fmt.Errorf("a Maglev table of %d entries: give a prime from %d to %d", size, MinMaglev, MaxMaglev)
	case backends > size:
		return fmt.Errorf("%d backends in a Maglev table of %d entries: give it 100 for each backend", backends, size)
	}
	return nil
}
