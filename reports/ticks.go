package reports

import (
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
)

// ticksOf sets ticks at the multiples of a round step that lie from least to most:
// five at the most, and zero among them.
func ticksOf(least, most float64, s scale) (ticks []plot.Tick) {
	step := roundStep((most - least) / 4)
	for i := math.Ceil(least / step); i*step <= most; i++ {
		ticks = append(ticks, plot.Tick{Value: i * step, Label: tickLabel(i, step/s.divisor)})
	}
	return ticks
}

// roundStep is the least of 1, 2, 2.5 and 5 times a power of ten that is not below size.
func roundStep(size float64) float64 {
	if size <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(size)))
	for _, factor := range []float64{1, 2, 2.5, 5} {
		if power*factor >= size {
			return power * factor
		}
	}
	return power * 10
}

// tickLabel writes the tick after i steps with the decimals that a step needs.
func tickLabel(i, step float64) string {
	if i == 0 {
		return "0"
	}
	mantissa, power, _ := strings.Cut(strconv.FormatFloat(step, 'e', 1, 64), "e")
	exponent, _ := strconv.Atoi(power)
	if exponent < -6 || exponent > 12 {
		return significant(i*step, 2)
	}
	if !strings.HasSuffix(mantissa, ".0") {
		exponent-- // 2.5 has a decimal of its own
	}
	return grouped(i*step, max(-exponent, 0))
}
