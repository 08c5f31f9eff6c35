package reports

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A run is compared with the last one that deserves it.
func TestLastGoodNight(t *testing.T) {
	t.Parallel()
	const tonight = 14
	for _, test := range []struct {
		name  string
		spoil func(night int, r *Results, dir string)
		want  string
	}{
		{"last night", func(int, *Results, string) {}, "13"},
		{"last night something became worse", func(night int, _ *Results, dir string) {
			if night == 13 {
				require.NoError(t, os.MkdirAll(dir, 0o755))
				require.NoError(t, os.WriteFile(filepath.Join(dir, worseFile), nil, 0o644))
			}
		}, "12"},
		{"two nights untrusted", func(night int, r *Results, _ string) {
			if night > 11 {
				r.Environment["untrusted"] = "busy"
			}
		}, "11"},
		{"last night on another machine", func(night int, r *Results, _ string) {
			if night == 13 {
				r.Environment["cpu"] = "EPYC"
			}
		}, "12"},
		{"none is good, so the last is shown", func(_ int, r *Results, _ string) { r.Environment["untrusted"] = "busy" }, "13"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			history := t.TempDir()
			for night := 10; night <= tonight+1; night++ { // a later one, and tonight's own, are no past
				r, dir := fullRun(night, 1), filepath.Join(history, fmt.Sprint(night))
				test.spoil(night, r, dir)
				require.NoError(t, r.Write(dir))
				repetition := fullRun(night, 1)
				repetition.Environment["time"] = fmt.Sprintf("2026-03-%02dT03:00:00Z", night)
				require.NoError(t, repetition.Write(filepath.Join(dir, againFolder)))
			}
			r := newReport(fullRun(tonight, 1))
			last, err := r.readPast(history)
			require.NoError(t, err)
			require.Equal(t, test.want, filepath.Base(last))
			require.Len(t, r.Past, 4)
		})
	}
}

// A night that became worse for certain is marked, and one that only seems so is not.
func TestWorseNightIsMarked(t *testing.T) {
	t.Parallel()
	old, new, again := nights(t)
	dir := t.TempDir()
	r := newReport(new)
	for _, test := range []struct {
		again  *Results
		marked bool
	}{{nil, false}, {again, true}, {old, false}} {
		r.Diff = NewDiff(old, new, test.again)
		require.NoError(t, r.mark(dir))
		if test.marked {
			require.FileExists(t, filepath.Join(dir, worseFile))
		} else {
			require.NoFileExists(t, filepath.Join(dir, worseFile))
		}
	}
}

// What is spoilt of the past is named, costs nothing else, and gates nothing.
func TestHistoryThatIsSpoilt(t *testing.T) {
	t.Parallel()
	history := t.TempDir()
	for _, night := range []int{11, 12, 13} {
		require.NoError(t, fullRun(night, 1).Write(filepath.Join(history, fmt.Sprint(night))))
	}
	require.NoError(t, os.Truncate(filepath.Join(history, "13", resultsFile), 5000))
	rewrite(t, filepath.Join(history, "11"), "results/v1", "results/v9")
	r := newReport(fullRun(14, 1))
	last, err := r.readPast(history)
	require.NoError(t, err)
	require.Equal(t, "12", filepath.Base(last), "half a run is no good one")
	require.NotEmpty(t, r.problems())
	require.ErrorContains(t, r.problems()[0], filepath.Join("11", resultsFile)+`:2: schema is "skbench/results/v9"`)
	require.ErrorContains(t, r.problems()[1], filepath.Join("13", resultsFile))
	require.ErrorContains(t, r.problems()[1], "JSON is cut short")
	require.NoError(t, r.Err())
}
