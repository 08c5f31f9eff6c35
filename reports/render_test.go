package reports

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRender(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text, err := os.ReadFile("testdata/results.json")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "results.json"), text, 0o644))

	for range 2 { // the second time over the files of the first
		_, err := Render(dir, Options{})
		require.NoError(t, err)
		require.Equal(t, []string{
			"bench.txt", "cost.png", "cost.svg", "cpu.png", "cpu.svg", "index.html", "junit.xml",
			"ours-cpu-left.png", "ours-cpu-left.svg", "ours-pps.png", "ours-pps.svg", "pps.png", "pps.svg",
			"published-pps.png", "published-pps.svg", "results.json", "summary.md",
		}, namesIn(t, dir))
	}
	info, err := os.Stat(filepath.Join(dir, "index.html"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o644), info.Mode())
}

func TestRenderKeepsTheOldPageWhenResultsAreBad(t *testing.T) {
	t.Parallel()
	path := write(t, good[:200])
	page := filepath.Join(filepath.Dir(path), "index.html")
	require.NoError(t, os.WriteFile(page, []byte("yesterday"), 0o644))

	_, err := Render(filepath.Dir(path), Options{})
	require.ErrorContains(t, err, path+":5: JSON is cut short")
	require.Equal(t, 2, exitCode(t, err))
	require.Equal(t, []string{"index.html", "results.json"}, namesIn(t, filepath.Dir(path)))
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Equal(t, "yesterday", string(text))
}

func TestRenderLeavesNoScrapsWhenItCannotWrite(t *testing.T) {
	t.Parallel()
	path := write(t, good)
	taken := filepath.Join(filepath.Dir(path), "bench.txt") // a folder cannot be replaced by a file
	require.NoError(t, os.Mkdir(taken, 0o755))

	_, err := Render(filepath.Dir(path), Options{})
	require.ErrorContains(t, err, taken+" not written: ")
	require.Equal(t, 2, exitCode(t, err), "1 would say that something became worse")
	for _, name := range namesIn(t, filepath.Dir(path)) {
		require.NotRegexp(t, `^\.`, name)
	}
}

// exitCode is the status that an error asks for.
func exitCode(tb testing.TB, err error) int {
	tb.Helper()
	if err == nil {
		return 0
	}
	var own interface{ ExitCode() int }
	require.ErrorAs(tb, err, &own)
	return own.ExitCode()
}

func namesIn(tb testing.TB, dir string) (names []string) {
	tb.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(tb, err)
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// What is in the way of a report is no regression.
func TestRenderWithoutItsFolders(t *testing.T) {
	t.Parallel()
	for says, o := range map[string]Options{
		"name a folder that has one for each earlier run": {History: "/no/such/history", Out: t.TempDir()},
		"the report's folder is not made":                 {Out: "/proc/none"},
	} {
		_, err := Render("testdata/results.json", o)
		require.ErrorContains(t, err, says)
		require.Equal(t, 2, exitCode(t, err))
	}
	_, err := ReadDiff("testdata/results.json", "testdata", "")
	require.NoError(t, err, "a folder that holds both is a run's, too")
	_, err = ReadDiff("testdata/results.json", "testdata/matrix.json", "")
	require.ErrorContains(t, err, "testdata/matrix.json is a matrix, which has no figures")
	require.Equal(t, 2, exitCode(t, err))
}
