package cilium_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness/vector"
	"github.com/skbench/skbench/harness/vector/cilium"
)

// run runs objects of testdata, by their names.
func run(t *testing.T, o vector.Options, names ...string) []*vector.Result {
	t.Helper()
	if o.Artifacts == "" {
		o.Artifacts = t.TempDir()
	}
	var paths []string
	for _, name := range names {
		paths = append(paths, "testdata/"+name+"_bpfel.o")
	}
	return cilium.Run(t.Context(), paths, o, nil)
}

// said is what a result says of its tests, a line each.
func said(r *vector.Result) (lines []string) {
	for _, v := range r.Vectors {
		switch {
		case v.Failure != nil:
			lines = append(lines, v.Name+" FAIL "+strings.ReplaceAll(v.Failure.Differences, "\n", " / "))
		case v.Skipped != "":
			lines = append(lines, v.Name+" SKIP "+v.Skipped)
		default:
			lines = append(lines, strings.TrimRight(v.Name+" ok "+strings.Join(v.Log, " / "), " "))
		}
	}
	return lines
}

// Everything that a check can report is told, in either generation of numbers.
func TestReports(t *testing.T) {
	want := func(nothing string) []string {
		return []string{
			"asserts FAIL the check failed / reports.c:7: the answer: byte 3 is 02, want 01 / reports.c:7: the answer: want 16 bytes, got only 14",
			"errs FAIL the check could not be run (it returned an error)",
			"fails FAIL the check failed / 100% wrong / want 1, got -3 / as 64 bits -3 / in hex beef",
			"means nothing FAIL the check has the status " + nothing + ", which means nothing",
			"passes ok a packet of 3520 bytes",
			"skips SKIP there is no IPv6 here",
			"sub-tests FAIL 1 of 3 sub-tests failed: bad",
			"sub-tests/good ok all is well",
			"sub-tests/bad FAIL the sub-test failed / the port is 80, and this line makes the test longer than a length of one byte can tell: it takes two / assertion",
			"sub-tests/not now SKIP the test skips itself, and does not say why",
			"within FAIL 1 of 1 sub-tests failed: left early",
			"within/left early FAIL the sub-test failed / so far / the check returned from within this sub-test",
			"writes nonsense FAIL what the check reported cannot be read: it is damaged, as it is when a log line with its arguments is longer than 127 bytes",
		}
	}
	results := run(t, vector.Options{}, "reports", "reports_later")
	require.Len(t, results, 2)
	for i, nothing := range []string{"42", "142"} {
		require.NoError(t, results[i].Err)
		require.Equal(t, want(nothing), said(results[i]))
		words := strings.Join(strings.Fields(results[i].Vectors[0].Failure.String()), " ")
		require.Contains(t, words, "-> Ethernet.Dst 00:00:00:01:00:00 00:00:00:02:00:00")
	}
}

// Packet, context and code go from program to program; maps from test to test, but for those that stand in for the context.
func TestSteps(t *testing.T) {
	all := []string{"context ok", "order 1 ok", "order 2 ok", "three programs ok", "variable ok"}
	set := func(name string) vector.Options {
		return vector.Options{Configuration: vector.Configuration{Constants: map[string]any{name: 8}}}
	}
	for _, name := range []string{"mark", "__config_mark"} {
		results := run(t, set(name), "steps")
		require.Len(t, results, 1)
		require.NoError(t, results[0].Err)
		require.Equal(t, all, said(results[0]))
	}
	results := run(t, vector.Options{}, "steps")
	require.Equal(t, append(all[:4:4], "variable FAIL the check failed"), said(results[0]))

	results = run(t, set("mrk"), "steps", "reports")
	require.Len(t, results, 3)
	require.ErrorContains(t, results[2].Err, "no object has a variable mrk")
}

// A test of which an earlier program failed keeps the packet.
func TestFailuresBeforeTheCheck(t *testing.T) {
	results := run(t, vector.Options{}, "no_setup")
	require.Equal(t, []string{"a FAIL second failed before anything could be checked"}, said(results[0]))
	require.FileExists(t, results[0].Vectors[0].Failure.Capture)
}

// What cannot be used is told in a sentence, and stops nothing else.
func TestUnusableObjects(t *testing.T) {
	folder := t.TempDir()
	for name, says := range map[string]string{
		"no_map":     "there is no array suite_result_map in this object, which its tests report through",
		"no_check":   `the test "half" has no program for check`,
		"no_test":    "there are no tests in this object: their programs stand in sections PROGTYPE/test/NAME/check",
		"refused":    "the kernel rejects it: program first: load program: permission denied",
		"two_checks": `the test "a" has two programs for check, first and second: leave one`,
		"missing":    "there is no such folder or object",
	} {
		results := run(t, vector.Options{Artifacts: folder}, name, "steps")
		require.Len(t, results, 2)
		var input *vector.InputError
		require.ErrorAs(t, results[0].Err, &input, name)
		require.Equal(t, "testdata/"+name+"_bpfel.o", input.File)
		require.Contains(t, input.Text, says)
		require.NotContains(t, input.Text, "\n")
		require.Equal(t, 4, results[1].Passed())
	}
	logs, err := filepath.Glob(folder + "/verifier-*.log")
	require.NoError(t, err)
	require.Len(t, logs, 1)
	log, err := os.ReadFile(logs[0])
	require.NoError(t, err)
	require.Contains(t, string(log), "invalid access to packet")
}

// A folder stands for its objects, by name; each is told as soon as those before it are.
func TestFolder(t *testing.T) {
	var told []string
	results := cilium.Run(t.Context(), []string{"testdata", t.TempDir()}, vector.Options{Artifacts: t.TempDir()}, func(r *vector.Result) {
		told = append(told, r.Suite)
	})
	require.Len(t, results, 10)
	require.Equal(t, []string{
		"no_check_bpfel", "no_map_bpfel", "no_setup_bpfel", "no_test_bpfel", "refused_bpfel", "reports_bpfel", "reports_later_bpfel",
		"steps_bpfel", "two_checks_bpfel",
	}, told[:9])
	require.ErrorContains(t, results[9].Err, "there are no objects (*.o) in this folder")
}
