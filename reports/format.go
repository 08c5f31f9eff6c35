package reports

import (
	"math"
	"strconv"
	"strings"
)

// significant writes v in decimal with at least digits significant digits:
// significant(1234567, 4) is "1,234,567" and significant(0.98765, 3) is "0.988".
// What is too large or too small for that has an exponent: "1.00e-12".
func significant(v float64, digits int) string {
	if v == 0 {
		return "0"
	}
	// Rounded before it is measured, since 0.9996 with three digits is 1.00.
	exponential := strconv.FormatFloat(v, 'e', digits-1, 64)
	_, power, _ := strings.Cut(exponential, "e")
	exponent, _ := strconv.Atoi(power)
	if exponent < -6 || exponent > 15 {
		return exponential
	}
	return grouped(v, max(digits-1-exponent, 0))
}

// grouped writes v with so many decimals and its thousands set apart: "12,345.6".
func grouped(v float64, decimals int) string {
	text := strconv.FormatFloat(math.Abs(v), 'f', decimals, 64)
	whole, fraction, _ := strings.Cut(text, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if fraction != "" {
		whole += "." + fraction
	}
	if v < 0 {
		whole = "−" + whole
	}
	return whole
}

// times writes a ratio: "2.1", and "1.04" where one decimal would hide it.
func times(ratio float64) string {
	switch {
	case ratio >= 10:
		return grouped(ratio, 0)
	case ratio >= 1.1:
		return grouped(ratio, 1)
	default:
		return grouped(ratio, 2)
	}
}
