package main

import (
	"fmt"
	"io"
	"math"
)

// summarise writes what became of the mutants: the score, then each survivor.
func summarise(out io.Writer, done []result, all int) error {
	count := map[string]int{}
	for _, r := range done {
		count[r.Fate]++
	}
	n := count[killed] + count[survived]
	fmt.Fprintf(out, "\n%d mutants: %d killed, %d survived; not in the score: %d that the verifier rejects, %d of the same code, %d that do not compile\n",
		len(done), count[killed], count[survived], count[rejected], count[same], count[unbuilt])
	if n > 0 {
		fmt.Fprintf(out, "score %.1f %%", 100*float64(count[killed])/float64(n))
		if len(done) < all {
			low, high := wilson(count[killed], n)
			fmt.Fprintf(out, " (of all %d mutants, with 95 %% confidence: %.1f to %.1f %%)", all, 100*low, 100*high)
		}
		fmt.Fprintln(out)
	}
	for _, r := range done {
		if r.Fate == survived {
			fmt.Fprintln(out, r.Mutant)
		}
	}
	return nil
}

// wilson is the interval that a share lies in with 95 % confidence, of which k of n were found (Wilson, 1927).
func wilson(k, n int) (low, high float64) {
	const z = 1.96
	p, m := float64(k)/float64(n), float64(n)
	middle := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return max(0, middle-half), min(1, middle+half)
}
