package reports

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/plot/cmpimg"
)

func TestPlots(t *testing.T) {
	t.Parallel()
	for _, c := range chartsOf(sample(t)) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			png, err := c.png()
			require.NoError(t, err)
			requireImage(t, "png", c.name+"_golden.png", png)

			svg, err := c.svg()
			require.NoError(t, err)
			requireImage(t, "svg", c.name+"_golden.svg", svg)
			require.Less(t, len(svg), 20_000)
		})
	}
}

// requireImage compares in the way of gonum/plot's own tests, and leaves room for
// machines that round another way.
func requireImage(tb testing.TB, kind, name string, got []byte) {
	tb.Helper()
	same, err := cmpimg.EqualApprox(kind, golden(tb, name, got), got, 0.01)
	require.NoError(tb, err)
	require.True(tb, same, "the plot is not testdata/%s: look at both, then run: go test ./reports -update", name)
}

func TestPlotsAreDrawnTheSameEachTime(t *testing.T) {
	t.Parallel()
	for i := range chartsOf(sample(t)) {
		first, err := chartsOf(sample(t))[i].svg()
		require.NoError(t, err)
		second, err := chartsOf(sample(t))[i].svg()
		require.NoError(t, err)
		require.Equal(t, string(first), string(second))
	}
}

// Whatever is measured can be drawn.
func TestPlotsOfOddFigures(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("long-", 20) + "name"
	for name, results := range map[string][]Result{
		"all zero":            {figureOf("cost", "datapath=xdp", "ns/packet", 0)},
		"below zero":          {figureOf("cost", "datapath=xdp", "ns/packet", -20), figureOf("cost", "datapath=tc", "ns/packet", 5)},
		"all below zero":      {figureOf("cost", "datapath=xdp", "ns/packet", -20)},
		"tiny":                {figureOf("cost", "datapath=xdp", "ns/packet", 1e-12)},
		"huge":                {figureOf("pps", "datapath=xdp", "packets/s", 1e300)},
		"far apart":           {figureOf("pps", "datapath=xdp", "packets/s", 1e12), figureOf("pps", "datapath=iptables", "packets/s", 1e-12)},
		"a long name":         {figureOf("pps", "datapath="+long, "packets/s", 1), figureOf("pps", "datapath=tc", "packets/s", 2)},
		"a name of a program": {figureOf(long, "datapath="+long, long+"/s", 1)},
		"a hundred figures":   hundred(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			svg, err := chartsOf(runOf(results...))[0].svg()
			require.NoError(t, err)
			requireXML(t, svg)
			require.NotContains(t, string(svg), "NaN")
			require.NotContains(t, string(svg), "Inf")
		})
	}
}

func hundred() (results []Result) {
	for i := range 100 {
		results = append(results, figureOf("services", fmt.Sprintf("services=%d", i), "packets/s", float64(i)))
	}
	return results
}

func requireXML(tb testing.TB, text []byte) {
	tb.Helper()
	decoder := xml.NewDecoder(strings.NewReader(string(text)))
	for {
		_, err := decoder.Token()
		if err == io.EOF {
			return
		}
		require.NoError(tb, err)
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	require.Equal(t, "iptables", fit(nameStyle, "iptables", 100))
	require.Equal(t, "ipta…", fit(nameStyle, "iptables", nameStyle.Width("ipta…")))
	require.Equal(t, "…", fit(nameStyle, "iptables", 0))
}

func TestNotesAreWrapped(t *testing.T) {
	t.Parallel()
	phrases := []string{"remote backend", "IPv4", "65,536 flows", "inline mode", "10,000 services", "1,500 bytes"}
	lines := wrap(phrases)
	require.Len(t, lines, 2)
	require.Equal(t, strings.Join(phrases, " · "), strings.Join(lines, " · "))
	for _, line := range lines {
		require.LessOrEqual(t, noteStyle.Width(line), contentWidth, line)
	}
}

func TestTonesHaveTheirOwnColours(t *testing.T) {
	t.Parallel()
	seen := map[rgb]string{}
	for _, tone := range palette {
		require.Empty(t, seen[tone.Light], "%s has the colour of another tone, and a page could not tell them apart", tone.Name)
		seen[tone.Light] = tone.Name
	}
}
