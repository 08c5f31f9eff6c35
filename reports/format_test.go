package reports

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSignificant(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		value  float64
		digits int
		want   string
	}{
		{0, 3, "0"},
		{1, 3, "1.00"},
		{0.98765, 3, "0.988"},
		{0.9996, 3, "1.00"},
		{99.96, 3, "100"},
		{1012144, 5, "1,012,144"},
		{268.54, 5, "268.54"},
		{-12.345, 3, "−12.3"},
		{0.00012345, 3, "0.000123"},
		{1e-12, 3, "1.00e-12"},
		{1e300, 3, "1.00e+300"},
	} {
		require.Equal(t, test.want, significant(test.value, test.digits), "%v", test.value)
	}
}

func TestGrouped(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		value    float64
		decimals int
		want     string
	}{
		{0, 0, "0"},
		{999, 0, "999"},
		{1000, 0, "1,000"},
		{1234567.891, 2, "1,234,567.89"},
		{-1234, 0, "−1,234"},
	} {
		require.Equal(t, test.want, grouped(test.value, test.decimals), "%v", test.value)
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	for ratio, want := range map[float64]string{0.833: "0.83", 1.04: "1.04", 2.136: "2.1", 9.96: "10.0", 12.4: "12"} {
		require.Equal(t, want, times(ratio), "%v", ratio)
	}
}

func TestScale(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		most  float64
		unit  string
		value float64
		want  string
	}{
		{1.4e6, "packets/s", 682000, "0.682 M"},
		{1.4e5, "packets/s", 68200, "68.2 k"},
		{5e9, "bits/s", 4.9e9, "4.90 G"},
		{9000, "packets/s", 9000, "9,000"},
		{14000, "ns/packet", 14000, "14,000"},
	} {
		s := scaleOf(test.most, unitOf(test.unit))
		require.Equal(t, test.want, s.format(test.value)+s.letter)
	}
}

func TestTicks(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		least, most float64
		unit        string
		want        []string
	}{
		{0, 1.39e6, "packets/s", []string{"0", "0.5", "1.0"}},
		{0, 1e6, "packets/s", []string{"0", "0.25", "0.50", "0.75", "1.00"}},
		{0, 73, "%", []string{"0", "20", "40", "60"}},
		{-50, 210, "ns/packet", []string{"0", "100", "200"}},
		{0, 0, "ns", []string{"0"}},
		{0, 4e-9, "s", []string{"0", "1.0e-09", "2.0e-09", "3.0e-09", "4.0e-09"}},
	} {
		var got []string
		for _, tick := range ticksOf(test.least, test.most, scaleOf(test.most, unitOf(test.unit))) {
			got = append(got, tick.Label)
		}
		require.Equal(t, test.want, got)
	}
}
