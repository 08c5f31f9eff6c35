package reports

import (
	"math"
	"slices"
	"strings"
)

// unit is how a report shows a unit. One that is not among those below is shown
// as it is written.
type unit struct {
	name  string // in results.json
	words string // on an axis
	short string // after a number
}

var units = []unit{
	{"packets/s", "packets per second", ""},
	{"ns/packet", "nanoseconds per packet", " ns"},
	{"ns", "nanoseconds", " ns"},
	{"us", "microseconds", " µs"},
	{"s", "seconds", " s"},
	{"bit/s", "bits per second", " bit/s"},
	{"%", "percent of one CPU", " %"},
	{unitLeft, "percent of one CPU left", " %"},
	{"instructions", "instructions", ""},
	{"states", "states", ""},
}

// unitLeft is that of the CPU time that is left, of which more is better.
const unitLeft = "% left"

func unitOf(name string) unit {
	if i := slices.IndexFunc(units, func(u unit) bool { return u.name == name }); i >= 0 {
		return units[i]
	}
	return unit{name: name, words: strings.ReplaceAll(name, "/", " per ")}
}

// isRate tells whether more is better: so much of something each second.
func (u unit) isRate() bool { return strings.HasSuffix(u.name, "/s") || u.name == unitLeft }

// isCount tells whether figures are exact: the same work gives the same figure.
func (u unit) isCount() bool { return u.name == "instructions" || u.name == "states" }

// better is the word of Go benchmark text for the good direction.
func (u unit) better() string {
	if u.isRate() {
		return "higher"
	}
	return "lower"
}

// scale shortens large rates; all figures of a plot share one.
type scale struct {
	divisor float64
	letter  string // after a number: " M"
	word    string // before a unit: "million "
	whole   bool   // figures are counts
}

// scaleOf picks the scale for figures of a unit of which most is the largest.
// Only rates are shortened: "1.2 k ns" would be no unit at all.
func scaleOf(most float64, u unit) scale {
	switch {
	case !u.isRate() || most < 1e4:
		return scale{1, "", "", u.isCount()}
	case most < 1e6:
		return scale{1e3, " k", "thousand ", false}
	case most < 1e9:
		return scale{1e6, " M", "million ", false}
	default:
		return scale{1e9, " G", "billion ", false}
	}
}

// format writes v with three digits and more only when it is that large: "1.01".
func (s scale) format(v float64) string {
	if s.whole && v == math.Trunc(v) {
		return grouped(v, 0)
	}
	return significant(v/s.divisor, 3)
}
