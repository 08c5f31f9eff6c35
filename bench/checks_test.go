package bench

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRunsThatFailACheckAreMarked(t *testing.T) {
	steady := []float64{100, 101, 99, 100, 102, 98, 100, 101, 99, 100}
	slower := []float64{90, 91, 89, 90, 92, 88, 90, 91, 89, 90}
	for _, test := range []struct {
		name   string
		check  Check
		passed bool
	}{
		{"the same twice", checkAlike(steady, steady), true},
		{"10 % apart", checkAlike(steady, slower), false},
		{"10 % apart, the other way", checkAlike(slower, steady), false},
		{"10 % apart, but only once", checkAlike(steady[:1], slower[:1]), true},
		{"a fast generator", checkGenerator([]float64{150}, []float64{100}), true},
		{"a slow generator", checkGenerator([]float64{149}, []float64{100}), false},
		{"a quiet machine", taken{0.09, 0.01}.check("before"), true},
		{"a busy machine", taken{0.11, 0}.check("before"), false},
		{"a machine that others share", taken{0, 0.03}.check("before"), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			require.Equal(t, test.passed, test.check.Passed, test.check.Says)
			results := &Results{Environment: map[string]string{}, Checks: []Check{{"fine", true, "good"}, test.check}}
			results.judge()
			want := test.check.Says
			if test.passed {
				want = ""
			}
			require.Equal(t, want, results.Environment["untrusted"])
		})
	}
}

func TestLoadOfOthers(t *testing.T) {
	var l load
	require.NoError(t, l.readStat("cpu  10 20 30 400 50 6 7 80 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\n"))
	require.Equal(t, 4500*time.Millisecond, l.idle)
	require.Equal(t, 800*time.Millisecond, l.stolen)
	require.ErrorContains(t, l.readStat("intr 5\n"), `/proc/stat begins with "intr 5"`)
	require.ErrorContains(t, l.readStat("cpu 1 2 3 x 5 6 7 8"), "/proc/stat")

	for stat, want := range map[string]bool{
		"2 (kthreadd) S 0 0":            true,
		"15 (ksoftirqd/0) S 2 0":        true,
		"77 (a) S 2 (odd name) S 1 0":   false,
		"23 (sh) S 2222 0":              false,
		"2345 (cat) R 1 2345":           false,
		"88 (napi/eth0-8193) S 2 0 0 0": true,
	} {
		require.Equal(t, want, isKernelThread(stat), stat)
	}

	cpus := time.Duration(runtime.NumCPU())
	start := load{at: time.Now(), kernel: map[string]time.Duration{"12": 300 * time.Millisecond, "ended": time.Hour}}
	end := load{at: start.at.Add(time.Second), idle: cpus*time.Second - 900*time.Millisecond, stolen: 100 * time.Millisecond,
		own: 500 * time.Millisecond, kernel: map[string]time.Duration{"12": 400 * time.Millisecond, "begun": 100 * time.Millisecond}}
	got := end.since(start)
	require.InDelta(t, 0.1, got.foreign, 1e-9)
	require.InDelta(t, 0.1, got.stolen, 1e-9)
}

// The kernel's own numbers can be read here, and only grow.
func TestLoadIsRead(t *testing.T) {
	first, err := readLoad()
	require.NoError(t, err)
	second, err := readLoad()
	require.NoError(t, err)
	require.GreaterOrEqual(t, second.idle, first.idle)
	require.Greater(t, second.own, first.own)
	require.NotEmpty(t, first.kernel)
}

func TestOneRunAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lockMachine(t.Context(), path, func(said string) { t.Error("nobody to wait for, but", said) })
	require.NoError(t, err)

	waiting, second := make(chan string, 2), make(chan error, 1)
	go func() {
		unlock, err := lockMachine(t.Context(), path, func(said string) { waiting <- said })
		if err == nil {
			unlock()
		}
		second <- err
	}()
	select {
	case said := <-waiting:
		require.Contains(t, said, "another run is under way")
	case err := <-second:
		t.Fatal("the second run did not wait: ", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = lockMachine(ctx, path, func(string) { cancel() })
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, second, "the lock is held")
	unlock()
	require.NoError(t, <-second)

	ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	unlock, err = lockMachine(ctx, path, func(string) {})
	require.NoError(t, err, "who gave up waiting does not keep the lock")
	unlock()
}

// What fails is told, and what was measured beside it is kept.
func TestABenchmarkThatFailsStopsNoOther(t *testing.T) {
	r := &run{plan: plan{laps: 1, say: func(string) {}}, results: &Results{Environment: map[string]string{}}}
	measured := false
	err := r.all(t.Context(), []benchmark{
		{name: "pps-1500", of: "pps", measure: func(context.Context, *run) error { return errors.New("the wire broke\nhere") }},
		{name: "lab", of: "lab", measure: func(context.Context, *run) error { measured = true; return nil }},
	})
	require.ErrorContains(t, err, "pps-1500: the wire broke")
	require.True(t, measured)
	require.Equal(t, []Absence{{"pps", map[string]string{}, "pps-1500 failed: the wire broke"}}, r.results.Absent)
}
