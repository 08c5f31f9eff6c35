package reports

import (
	"math"

	"github.com/aclements/go-moremath/stats"
)

// Runs that were measured side by side went through the same rounds of the same laps. What the machine's neighbours did in a round, they
// did to both, so rounds are compared with their own counterparts, and not with all of the other run. Rounds of a lap are alike in where
// maps lie in memory, and so each lap counts as one value here, too: the logarithms of by how much laps differ are held against none
// (Student's t test for pairs).

// sideBySide tells whether two runs went through the same rounds.
func sideBySide(old, new *Results) bool {
	at := new.Environment["side-by-side"]
	return at != "" && old.Environment["side-by-side"] == at
}

// test names that by which figures are compared.
func (d *Diff) test() string {
	if sideBySide(d.Old, d.New) {
		return "Student’s t test for pairs, of the logarithms of what laps side by side differ by"
	}
	return "Mann-Whitney U test"
}

// measurePairs fills in effect, interval and P from samples of the same rounds, one for each. By how much a lap differs is the median
// of what its rounds differ by, as a part of the old median. It returns false when a lap is not clear of zero.
func (c *Change) measurePairs(old, new []float64) bool {
	differences := make([]float64, len(old))
	for round := range old {
		differences[round] = new[round] - old[round]
	}
	before, apart := c.Old.medians(old), c.Old.medians(differences)
	var logs stats.Sample
	for lap := range before {
		if before[lap] <= 0 || before[lap]+apart[lap] <= 0 {
			return false
		}
		logs.Xs = append(logs.Xs, math.Log1p(apart[lap]/before[lap]))
	}
	mean, low, high := logs.MeanCI(confidence)
	c.Effect, c.Low, c.High = math.Expm1(mean), math.Expm1(low), math.Expm1(high)
	if test, err := stats.OneSampleTTest(logs, 0, stats.LocationDiffers); err == nil {
		c.P = test.P
	} else if mean != 0 { // all laps differ by the same
		c.P = 0
	}
	return true
}
