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
		require.NoError(t, Render(dir))
		require.Equal(t, []string{
			"bench.txt", "cost.png", "cost.svg", "cpu.png", "cpu.svg",
			"index.html", "pps.png", "pps.svg", "results.json",
		}, namesIn(t, dir))
	}
	info, err := os.Stat(filepath.Join(dir, "index.html"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o644), info.Mode())
}

func TestRenderKeepsTheOldPageWhenResultsAreBad(t *testing.T) {
	t.Parallel()
	path := write(t, good[:300])
	page := filepath.Join(filepath.Dir(path), "index.html")
	require.NoError(t, os.WriteFile(page, []byte("yesterday"), 0o644))

	require.ErrorContains(t, Render(filepath.Dir(path)), path+": line 5: JSON is cut short")
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

	require.ErrorContains(t, Render(filepath.Dir(path)), taken+" not written: ")
	require.Equal(t, []string{"bench.txt", "pps.png", "pps.svg", "results.json"}, namesIn(t, filepath.Dir(path)))
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
