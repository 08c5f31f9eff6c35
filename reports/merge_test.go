package reports

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// shards cuts the sample run in two, each with the empty path.
func shards(tb testing.TB) (paths []string) {
	tb.Helper()
	dir := tb.TempDir()
	for i, name := range []string{"1/2", "2/2"} {
		part := sample(tb)
		part.Environment["shard"] = name
		whole := part.Results
		part.Results = append(whole[:1:1], whole[1+7*i:][:7+i]...)
		part.Checks = []Check{{"a-a", true, "good in " + name}}
		path := filepath.Join(dir, string('a'+rune(i)))
		require.NoError(tb, part.Write(path))
		paths = append(paths, path)
	}
	return paths
}

func TestMerge(t *testing.T) {
	t.Parallel()
	whole, err := Merge(shards(t))
	require.NoError(t, err)
	require.Empty(t, whole.Problems)
	require.Equal(t, sample(t).Results, whole.Results)
	require.Equal(t, sample(t).Environment, whole.Environment)
	require.Len(t, whole.Checks, 2)
}

func TestMergeOfWhatIsNotWhole(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		spoil     func(paths []string) []string
		problem   string
		untrusted string
	}{
		{"a shard that is not there", func(paths []string) []string { return paths[:1] }, "shards: shard 2/2 is not there: name its folder too", ""},
		{"a shard of another schema", func(paths []string) []string {
			rewrite(t, paths[1], `results/v1`, `results/v9`)
			return paths
		}, `results.json:2: schema is "skbench/results/v9"`, ""},
		{"a shard cut short", func(paths []string) []string {
			require.NoError(t, os.Truncate(filepath.Join(paths[1], resultsFile), 3000))
			return paths
		}, "JSON is cut short", ""},
		{"one shard twice", func(paths []string) []string { return []string{paths[0], paths[1], paths[1]} }, "is in an earlier shard too", ""},
		{"another machine", func(paths []string) []string {
			rewrite(t, paths[1], "Intel(R) Xeon(R) Processor @ 2.80GHz", "EPYC")
			return paths
		}, "", `its shards ran on different machines or trees: cpu is "Intel(R) Xeon(R) Processor @ 2.80GHz" in one and "EPYC" in another`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			whole, err := Merge(test.spoil(shards(t)))
			require.NoError(t, err)
			require.Equal(t, test.untrusted, whole.Environment["untrusted"])
			if test.problem == "" {
				require.Empty(t, whole.Problems)
				return
			}
			require.NotEmpty(t, whole.Problems)
			require.ErrorContains(t, whole.Problems[0], test.problem)

			// What was not read is remembered by the file that is written.
			dir := t.TempDir()
			require.NoError(t, whole.Write(dir))
			rendered, err := Render(dir, Options{})
			require.NoError(t, err)
			require.Equal(t, 2, exitCode(t, rendered.Err()))
		})
	}
	_, err := Merge([]string{t.TempDir()})
	require.ErrorContains(t, err, "no shard to join")
}

func rewrite(tb testing.TB, dir, old, new string) {
	tb.Helper()
	path := filepath.Join(dir, resultsFile)
	text, err := os.ReadFile(path)
	require.NoError(tb, err)
	require.Contains(tb, string(text), old)
	require.NoError(tb, os.WriteFile(path, bytes.ReplaceAll(text, []byte(old), []byte(new)), 0o644))
}
