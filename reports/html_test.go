package reports

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func renderedPage(tb testing.TB, results *Results) string {
	tb.Helper()
	var text bytes.Buffer
	require.NoError(tb, newReport(results).WriteHTML(&text))
	return text.String()
}

var (
	svgElement   = regexp.MustCompile(`(?s)<svg .*?</svg>`)
	styleElement = regexp.MustCompile(`(?s)<style>.*?</style>`)

	// patternsLeftOut are not in golden pages, since they have tests of their own.
	patternsLeftOut = []*regexp.Regexp{svgElement, styleElement}
)

func TestPage(t *testing.T) {
	t.Parallel()
	skeleton := renderedPage(t, sample(t))
	for _, part := range patternsLeftOut {
		skeleton = part.ReplaceAllString(skeleton, "<!-- left out -->")
	}
	require.Equal(t, string(golden(t, "index_golden.html", []byte(skeleton))), skeleton)
}

func TestPageNeedsNothingBesideIt(t *testing.T) {
	t.Parallel()
	page := strings.ToLower(renderedPage(t, sample(t)))
	for _, reference := range []string{
		"<script", "<link", "<img", "<iframe", "<object", "src=", "href=", "url(", "@import", "http:", "https:", "javascript:",
	} {
		require.NotContains(t, page, reference)
	}
	require.Less(t, len(page), 400_000)
}

// Samples are in the files beside the page: a night has 30,000 of them.
func TestPageWeighsNoMoreForMoreSamples(t *testing.T) {
	t.Parallel()
	few, many := fullRun(14, 1), fullRun(14, 1)
	for i := range many.Results {
		many.Results[i].Samples = slices.Repeat(many.Results[i].Samples, 20)
	}
	page := renderedPage(t, many)
	require.InEpsilon(t, len(renderedPage(t, few)), len(page), 0.05)
	require.Less(t, len(page), 3<<20)
}

func TestPageBeginsWithTheVerdict(t *testing.T) {
	t.Parallel()
	page := renderedPage(t, sample(t))
	verdict := strings.Index(page, "<h1>XDP forwards 2.2 times what iptables does;")
	require.Positive(t, verdict)
	require.Less(t, verdict, strings.Index(page, "<svg"))
}

// Plots on the page take its colours, so that they can be read on dark paper too.
func TestPlotsFollowThePage(t *testing.T) {
	t.Parallel()
	page := renderedPage(t, sample(t))
	plots := svgElement.FindAllString(page, -1)
	require.Len(t, plots, 6)
	for _, plot := range plots {
		require.NotRegexp(t, `#[0-9A-Fa-f]{6}`, plot, "a colour that is not of the palette")
		require.Contains(t, plot, "var(--ink)")
		require.Contains(t, plot, `role="img" aria-label="`)
	}
	for _, tone := range palette {
		require.Equal(t, 2, strings.Count(page, "--"+tone.Name+": #"), "%s must be set for light and for dark", tone.Name)
	}
}

func TestEveryNumberOfTheTableComesFromTheSamples(t *testing.T) {
	t.Parallel()
	results := sample(t)
	tableRow := regexp.MustCompile(`<tr><th scope="row">[^<]+</th><td>(.+)</td><td>(.+) <i>to</i> (.+)</td><td>(\d+)</td></tr>`)
	rows := tableRow.FindAllStringSubmatch(renderedPage(t, results), -1)
	require.Len(t, rows, len(results.Results))

	var shown []*Result
	for _, c := range barsOf(results) {
		for b := range c.bars() {
			shown = append(shown, b.Result)
		}
	}
	for i, r := range shown {
		require.NoError(t, r.checkSummary())
		require.Contains(t, r.Samples, r.Low)
		require.Contains(t, r.Samples, r.High)
		require.InEpsilon(t, r.Median, numberIn(t, rows[i][1]), 1e-4)
		require.InEpsilon(t, r.Low, numberIn(t, rows[i][2]), 1e-4)
		require.InEpsilon(t, r.High, numberIn(t, rows[i][3]), 1e-4)
		require.Equal(t, float64(len(r.Samples)), numberIn(t, rows[i][4]))
	}
}

func numberIn(tb testing.TB, text string) float64 {
	tb.Helper()
	value, err := strconv.ParseFloat(strings.ReplaceAll(text, ",", ""), 64)
	require.NoError(tb, err)
	return value
}

func TestPageSaysWhatItRestsOn(t *testing.T) {
	t.Parallel()
	few := sample(t)
	few.Results[3].Samples, few.Results[3].Empty = few.Results[3].Samples[:1], nil
	split := sample(t)
	split.Results[0].Params["mode"] = "split"
	told := sample(t)
	told.Environment["method"] = "Ten rounds, ABBA."
	hostile := sample(t)
	hostile.Environment["commit"] = `<script>alert("1")</script>`
	for _, test := range []struct {
		name    string
		results *Results
		want    []string
		never   []string
	}{
		{
			"veth, the environment and the method", sample(t),
			[]string{"veth pairs", "not over network cards", "<dt>kernel</dt><dd>6.18.2</dd>", "Inline mode", "The empty path is"},
			[]string{"Split mode", `class="caveat"`},
		},
		{"too few samples", few, []string{`class="caveat"`, "1 of 16 figures have fewer than 6 samples"}, nil},
		{"both modes", split, []string{"Inline mode", "Split mode"}, nil},
		{"the method of the run", told, []string{"<p>Ten rounds, ABBA.</p>"}, []string{"<dt>method</dt>"}},
		{"markup as text", hostile, []string{"&lt;script&gt;alert"}, []string{"<script"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			page := renderedPage(t, test.results)
			for _, want := range test.want {
				require.Contains(t, page, want)
			}
			for _, never := range test.never {
				require.NotContains(t, page, never)
			}
		})
	}
}
