package reports

import (
	"bytes"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// nights are two runs of which the later one has a slower XDP program: last night's,
// tonight's, and tonight's once more.
func nights(tb testing.TB) (old, new, again *Results) {
	tb.Helper()
	runs := []*Results{sample(tb), sample(tb), sample(tb)}
	for i, r := range runs {
		params := map[string]string{"program": "xdp_entry", "case": "later-remote"}
		r.Results = append(r.Results,
			withSamples("program", params, "ns/packet", timesEach(steady, 0.6)), withSamples("program", params, "instructions", []float64{15000}))
		if i == 0 {
			continue
		}
		r.Environment["time"] = fmt.Sprintf("2026-03-15T02:1%d:00Z", i)
		r.Environment["commit"] = "fedcba9876543210fedcba9876543210fedcba98"
		for j, result := range r.Results {
			slower := map[string]float64{"pps": 0.88, "cost": 1.4, "program": 1.3}[result.Benchmark]
			if result.Unit == "instructions" {
				slower = 1.25
			}
			if (result.Params["datapath"] == "xdp" || result.Benchmark == program) && slower != 0 {
				r.Results[j] = withSamples(result.Benchmark, result.Params, result.Unit, timesEach(result.Samples, slower))
			}
		}
	}
	return runs[0], runs[1], runs[2]
}

func withSamples(benchmark string, params map[string]string, unit string, samples []float64) Result {
	r := Result{Benchmark: benchmark, Params: maps.Clone(params), Unit: unit, Samples: samples}
	r.summarise()
	return r
}

func TestDiffText(t *testing.T) {
	t.Parallel()
	old, new, again := nights(t)
	var text bytes.Buffer
	require.NoError(t, NewDiff(old, new, again).WriteText(&text))
	require.Equal(t, string(golden(t, "diff_golden.txt", text.Bytes())), text.String())
}

// The exit status is what scripts go by.
func TestGate(t *testing.T) {
	t.Parallel()
	type runs struct{ old, new, again *Results }
	for _, test := range []struct {
		name    string
		change  func(*runs)
		status  int
		verdict string
	}{
		{"worse twice", func(*runs) {}, 1,
			"Worse since the run of 2026-03-14 02:17: XDP cost per packet +40 %, XDP packets per second −12 %, xdp_entry cost of a run +30 %, and more; 4 of 18 figures, in both of two runs."},
		{"not repeated", func(r *runs) { r.again = nil }, 3, "Looks worse since the run of 2026-03-14 02:17, though not repeated yet: XDP cost per packet +40 %,"},
		{"worse once", func(r *runs) { r.again = r.old }, 0, "Nothing got worse since the run of 2026-03-14 02:17: 13 unchanged, 1 not judged, 4 inconclusive."},
		{"better", func(r *runs) { r.old, r.new = r.new, r.old }, 0, "Nothing got worse since the run of 2026-03-15 02:11: 13 unchanged, 1 not judged, 4 improved."},
		{"the same", func(r *runs) { r.new, r.again = r.old, nil }, 0, "Nothing got worse since the run of 2026-03-14 02:17: 17 unchanged, 1 not judged."},
		{"an untrusted run", func(r *runs) { r.new.Environment["untrusted"] = "7 % of the CPU was taken" }, 0,
			"No verdict: the new run is not to be trusted: 7 % of the CPU was taken."},
		{"a check that failed", func(r *runs) { r.old.Checks = []Check{{"a-a", false, "8 % apart, limit 5 %"}} }, 0,
			"No verdict: the old run is not to be trusted: 8 % apart, limit 5 %."},
		{"an untrusted repetition", func(r *runs) { r.again.Environment["untrusted"] = "busy" }, 0, "Nothing got worse since the run of 2026-03-14 02:17: 13 unchanged, 1 not judged, 4 inconclusive."},
		{"another machine", func(r *runs) { r.new.Environment["cpu"] = "EPYC" }, 0, `No verdict: the runs are from different machines: cpu is "Intel`},
		{"a line that was not read", func(r *runs) { r.new = r.old; r.new.Problems = []Problem{{"results.json", 7, "spoilt"}} }, 2,
			"Nothing got worse since the run of 2026-03-14 02:17: 17 unchanged, 1 not judged."},
		{"nothing in common", func(r *runs) { r.old.Results, r.new.Results, r.again = r.old.Results[:1], r.new.Results[3:4], nil }, 0,
			"No verdict: of 2 figures, none can be compared with the old run: 1 added, 1 removed."},
		{"a single sample", func(r *runs) {
			r.old.Results = r.old.Results[:1]
			r.new.Results = []Result{withSamples("pps", r.old.Results[0].Params, "packets/s", []float64{1})}
			r.again = nil
		}, 0, "No verdict: of 1 figure, none can be compared with the old run: 1 inconclusive."},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var r runs
			r.old, r.new, r.again = nights(t)
			test.change(&r)
			d := NewDiff(r.old, r.new, r.again)
			require.Equal(t, test.status, exitCode(t, d.Err()))
			require.True(t, strings.HasPrefix(d.Verdict(), test.verdict), d.Verdict())
		})
	}
}

// A figure that is not in the new file may have stood in a line that could not be read.
func TestWhatIsGone(t *testing.T) {
	t.Parallel()
	old, new, _ := nights(t)
	new.Results = slices.DeleteFunc(new.Results, func(r Result) bool { return r.Params["datapath"] == "iptables" })
	gone := func() (c Change) {
		for _, c = range NewDiff(old, new, nil).Changes {
			if c.New == nil {
				return c
			}
		}
		return c
	}
	require.Equal(t, Removed, gone().Outcome)
	require.Equal(t, "the new run does not have it", gone().Why)

	new.Absent = []Absence{{"pps", map[string]string{"datapath": "iptables"}, "iptables is not installed"}}
	require.Equal(t, "iptables is not installed", gone().Why)

	new.Problems = []Problem{{"results.json", 8, "NaN is no figure"}}
	require.Equal(t, Undecided, gone().Outcome)
	require.Equal(t, "the new run does not have it, and not all of its file can be read", gone().Why)
}

func TestExplanations(t *testing.T) {
	t.Parallel()
	explained := func(change func(new *Results), name string) string {
		old, new, _ := nights(t)
		for i := range old.Results {
			old.Results[i].Empty = nil // beside it the empty path explains nothing
		}
		change(new)
		d := NewDiff(old, new, nil)
		for _, c := range d.Changes {
			if c.Name == name && c.Unit() != "instructions" && c.Outcome == Regressed {
				return d.explain(c)
			}
		}
		return "no such regression"
	}
	slowed := func(benchmark, datapath string, by float64) func(*Results) {
		return func(r *Results) {
			for i, result := range r.Results {
				if result.Benchmark == benchmark && result.Params["datapath"] == datapath {
					r.Results[i] = withSamples(result.Benchmark, result.Params, result.Unit, timesEach(result.Samples, by))
				}
			}
		}
	}
	pps := "PPS/datapath=xdp/family=ipv4/flows=1024/mode=inline/size=64"
	because := "xdp_entry cost of a run +30 %, xdp_entry instructions +25 %"
	require.Equal(t, because, explained(func(*Results) {}, pps))
	require.Equal(t, because+"; empty path packets per second −20 %", explained(slowed("pps", "empty", 0.8), pps))
	require.Equal(t, "xdp_entry instructions +25 %", explained(func(*Results) {}, "Program/case=later-remote/program=xdp_entry"))
	asBefore := func(r *Results) {
		before, _, _ := nights(t)
		copy(r.Results[16:], before.Results[16:])
	}
	require.Equal(t, "neither its programs nor the empty path changed for the worse", explained(asBefore, pps))
	require.Equal(t, "empty path packets per second −20 %: the machine, its kernel or the generator, and not the datapath alone",
		explained(func(r *Results) { asBefore(r); slowed("pps", "empty", 0.8)(r) }, pps))
}

// The page, the summary and JUnit of a night on which something got worse.
func TestReportOfABadNight(t *testing.T) {
	t.Parallel()
	old, new, again := nights(t)
	new.Checks = []Check{{"a-a", true, "0 of 40 comparisons of a side with itself differ, limit 1 of 100"}}
	new.Absent = []Absence{{"pps", map[string]string{"datapath": "ipvs"}, "this kernel has no IPVS"}}
	r := newReport(new)
	r.Diff = NewDiff(old, new, again)
	r.Past = []*Results{old}

	for name, write := range map[string]func(*bytes.Buffer) error{
		"summary_golden.md": r.writeSummary, "junit_run_golden.xml": r.writeJUnit,
	} {
		var text bytes.Buffer
		require.NoError(t, write(&text))
		require.Equal(t, string(golden(t, name, text.Bytes())), text.String())
	}
	var text bytes.Buffer
	require.NoError(t, r.WriteHTML(&text))
	skeleton := text.String()
	for _, part := range patternsLeftOut {
		skeleton = part.ReplaceAllString(skeleton, "<!-- left out -->")
	}
	require.Equal(t, string(golden(t, "index_changes_golden.html", []byte(skeleton))), skeleton)
}

// Runs are given as folders, as files, and as benchmark text, and what cannot be read of one is told.
func TestRenderAgainst(t *testing.T) {
	t.Parallel()
	old, new, again := nights(t)
	dir := t.TempDir()
	at := func(name string, r *Results) string {
		require.NoError(t, r.Write(filepath.Join(dir, name)))
		return filepath.Join(dir, name)
	}
	o := Options{Against: at("history/old", old), Again: at("again", again), History: filepath.Join(dir, "history"), Out: filepath.Join(dir, "page")}
	path := at("new", new)
	rendered, err := Render(path, o)
	require.NoError(t, err)
	require.Equal(t, 1, exitCode(t, rendered.Err()))
	require.Contains(t, namesIn(t, o.Out), "trend-pps.png")
	require.Contains(t, namesIn(t, o.Out), "results.json")

	o.Against = filepath.Join(path, "no-such-run")
	rendered, err = Render(path, o)
	require.NoError(t, err)
	require.Equal(t, 2, exitCode(t, rendered.Err()))
	require.Contains(t, rendered.Verdict(), "Not compared: the old run cannot be read: "+o.Against)
}
