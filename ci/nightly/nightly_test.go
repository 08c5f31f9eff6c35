// Package nightly has ci/nightly.sh live through nights: what it measures is made up, and all else is as every night.
package nightly

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/reports"
)

// measures stands in for skbench: a run is the next of those that the night has waiting, and all else is left to the real one.
const measures = `#!/bin/sh
case $1 in
bench)
	next=$(ls waiting | head -n 1)
	[ -n "$next" ] || exit 9
	while [ "$1" != --out ]; do shift; done
	mkdir -p "$2" && mv "waiting/$next" "$2/results.json"
	;;
*)
	exec %s "$@"
	;;
esac
`

// house is a folder in which nights pass.
type house struct {
	*testing.T
	dir   string
	night int
}

func newHouse(t *testing.T) *house {
	h := &house{T: t, dir: t.TempDir()}
	script, err := filepath.Abs("../nightly.sh")
	require.NoError(t, err)
	real := filepath.Join(h.dir, "real")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", real, "../..")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)

	require.NoError(t, os.MkdirAll(filepath.Join(h.dir, "bin"), 0o755))
	for path, text := range map[string]string{
		"skbench":  fmt.Sprintf(measures, real),
		"bin/date": "#!/bin/sh\ncat date\n", // nights pass faster than seconds here
		"bin/perf": "#!/bin/sh\necho not here >&2; exit 1\n",
		"night":    "#!/bin/sh\nPATH=$PWD/bin:$PATH exec " + script + " nights\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(h.dir, path), []byte(text), 0o755))
	}
	return h
}

// passes lets a night pass in which the runs cost so much in turn, and returns its folder, its exit status and what it said.
func (h *house) passes(costs ...float64) (night string, status int, said string) {
	h.Helper()
	h.night++
	for i, cost := range costs {
		write(h.T, filepath.Join(h.dir, "waiting", fmt.Sprint(i)), fmt.Sprintf("2026-01-%02dT02:%02d:00Z", h.night, i), cost)
	}
	name := fmt.Sprintf("2026-01-%02d", h.night)
	require.NoError(h, os.WriteFile(filepath.Join(h.dir, "date"), []byte(name+"\n"), 0o644))
	cmd := exec.Command("./night")
	cmd.Dir = h.dir
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(h, err)
	}
	left, err := os.ReadDir(filepath.Join(h.dir, "waiting"))
	require.NoError(h, err)
	require.Empty(h, left, "runs that were not asked for:\n%s", out)
	return filepath.Join(h.dir, "nights", name), cmd.ProcessState.ExitCode(), string(out)
}

// write writes the results.json of a run: one datapath, whose packets cost so many ns.
func write(t *testing.T, path, at string, cost float64) {
	r := reports.Result{Benchmark: "cost", Params: map[string]string{"datapath": "xdp", "mode": "inline"}, Unit: "ns/packet"}
	for i := range 11 { // the fifth is the median, and the interval is from the second to the tenth
		r.Samples = append(r.Samples, cost+float64(i-5)/10)
	}
	r.Median, r.Low, r.High = r.Samples[5], r.Samples[1], r.Samples[9]
	results := &reports.Results{
		Schema: reports.Schema, Results: []reports.Result{r},
		Environment: map[string]string{"time": at, "kernel": "6.18", "cpu": "made up", "cpus": "2", "goos": "linux", "goarch": "amd64"},
	}
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	folder := t.TempDir()
	require.NoError(t, results.Write(folder))
	require.NoError(t, os.Rename(filepath.Join(folder, "results.json"), path))
}

func TestNights(t *testing.T) {
	h := newHouse(t)
	latest := func(file string) string {
		text, err := os.ReadFile(filepath.Join(h.dir, "nights", "latest", file))
		require.NoError(t, err)
		return string(text)
	}
	const onceMore = "measuring once more"

	first, status, said := h.passes(100)
	require.Zero(t, status, said)
	require.NotContains(t, said, onceMore)
	require.NoFileExists(t, filepath.Join(first, "worse.txt"))

	second, status, said := h.passes(101)
	require.Zero(t, status, said)
	require.Contains(t, said, "Nothing got worse since the run of 2026-01-01 02:00")
	require.NoDirExists(t, filepath.Join(second, "again"))

	// A night that looks worse, and is better when it is measured again, is as good as any.
	cleared, status, said := h.passes(120, 102)
	require.Zero(t, status, said)
	require.Contains(t, said, "Looks worse since the run of 2026-01-02 02:00, though not repeated yet: XDP cost per packet +19 %")
	require.Contains(t, said, onceMore)
	require.NoFileExists(t, filepath.Join(cleared, "worse.txt"))
	require.FileExists(t, filepath.Join(cleared, "again", "results.json"))
	require.Contains(t, latest("index.html"), "a repetition does not show it")

	// One that is worse twice is marked, and nights after it are not held against it.
	worse, status, said := h.passes(150, 151)
	require.Equal(t, 1, status, said)
	require.Contains(t, said, onceMore)
	require.FileExists(t, filepath.Join(worse, "worse.txt"))
	require.Contains(t, latest("summary.md"), "in both of two runs")

	_, status, said = h.passes(119)
	require.Zero(t, status, said)
	require.Contains(t, said, "Nothing got worse since the run of 2026-01-03 02:00", "of the last good night")

	// Accepted, it is the one that counts.
	require.NoError(t, os.Remove(filepath.Join(worse, "worse.txt")))
	require.NoError(t, os.RemoveAll(filepath.Join(h.dir, "nights", "2026-01-05")))
	_, status, said = h.passes(152)
	require.Zero(t, status, said)
	require.Contains(t, said, "since the run of 2026-01-04 02:00")

	// A night in which nothing can be measured leaves nothing behind.
	night, status, said := h.passes()
	require.Equal(t, 1, status, said)
	require.True(t, strings.HasSuffix(strings.TrimSpace(said), "nothing was measured"), said)
	require.NoDirExists(t, night)
}
