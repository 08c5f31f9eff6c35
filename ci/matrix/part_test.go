package matrix

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/ci/matrix/job"
	"github.com/skbench/skbench/harness/feature"
)

// numbered are so many tests.
func numbered(n int) (tests []string) {
	for i := range n {
		tests = append(tests, fmt.Sprintf("TestA%03d", i))
	}
	return tests
}

// TestEachTestIsOneGuests holds what guests are told to leave out against each other: every test runs in one of them, and so does all else.
func TestEachTestIsOneGuests(t *testing.T) {
	p := &plan{suites: []suite{
		{name: "large", binary: "large.test", tests: numbered(87)},
		{name: "small", binary: "small.test", tests: numbered(2*testsOfAGuest - 1)},
		{name: "chosen", binary: "chosen.test", tests: numbered(200), only: "A00"},
		{name: "vectors", vectors: []string{"a.yaml"}},
	}, objects: []string{"/x.o"}, ours: true}
	for most, want := range []int{1, 1, 2, 3, 4, 4, 4} {
		require.Equal(t, want, p.guests(most), "processors: %d", most)
	}
	for _, of := range []int{1, 2, 4} {
		runs := map[string]int{}
		for i := range of {
			c := newCollector(&Column{Name: "k"}, t.TempDir(), func(string) {})
			c.part = part{i, of}
			left := p.job(inGuest(), c, 1)
			require.NotEmpty(t, left.Steps)
			for _, step := range left.Steps {
				runs[step.Name]++
				tests := p.suites[max(0, slices.IndexFunc(p.suites, func(s suite) bool { return s.name == step.Name }))].tests
				for _, test := range tests {
					if !skips(step, test) {
						runs[step.Name+" "+test]++
					}
				}
			}
		}
		for name, times := range runs {
			if name != "large" {
				require.Equal(t, 1, times, "%s, %d guests", name, of)
			}
		}
		require.Equal(t, of, runs["large"], "the large suite is spread over all")
		require.Contains(t, runs, "large TestA086")
		require.Contains(t, runs, "object skbench")
		require.Contains(t, runs, "vectors")
	}
}

// skips tells whether a step leaves a test out.
func skips(step job.Step, test string) bool {
	for _, argument := range step.Command {
		if pattern, ok := strings.CutPrefix(argument, "-test.skip="); ok {
			return regexp.MustCompile(pattern).MatchString(test)
		}
	}
	return false
}

// TestPartRunsItsRestAgain has one of two guests die: what is left for the next boot is its own, and the other's stays the other's.
func TestPartRunsItsRestAgain(t *testing.T) {
	p := &plan{testsOfAGuest: 2, suites: []suite{{name: "s", binary: "s.test", tests: []string{"A", "B", "C", "D", "E", "F"}}}}
	c := newCollector(&Column{Name: "k"}, t.TempDir(), func(string) {})
	c.part = part{1, 2}
	story(t, c, `> s
		run B
		pass B
		run D
		x crash: the kernel panicked`)
	left := p.job(inGuest(), c, 1)
	require.Len(t, left.Steps, 1)
	var runs []string
	for _, test := range p.suites[0].tests {
		if !skips(left.Steps[0], test) {
			runs = append(runs, test)
		}
	}
	require.Equal(t, []string{"F"}, runs)
}

func TestColumnOfItsParts(t *testing.T) {
	first := &Column{
		Name: "k", Release: "6.1.0", Origin: "folder", Machine: "tcg", ProcessorSeconds: 10, BootSeconds: 2, FirstTestSeconds: 3, MemoryMiB: 600, Boots: 1,
		Cells: []*job.Cell{
			{Suite: "s", Name: "TestB", State: job.Pass}, {Suite: "s", Name: wholeSuite, State: job.Crash, Reason: "one", Log: "1", Files: []string{"a"}},
		},
		Features: []feature.Finding{{Kind: "helper", Name: "warp"}},
	}
	second := &Column{
		Name: "k", Release: "6.1.0", Machine: "tcg", ProcessorSeconds: 20, BootSeconds: 2.5, FirstTestSeconds: 2.9, MemoryMiB: 500, Boots: 6,
		Problem: "the guest died", Console: "last lines",
		Cells: []*job.Cell{
			{Suite: "s", Name: "TestA", State: job.Fail}, {Suite: "s", Name: wholeSuite, State: job.Crash, Reason: "two", Log: "2", Files: []string{"b"}},
		},
		Features: []feature.Finding{{Kind: "helper", Name: "warp"}, {Kind: "helper", Name: "weft"}},
	}
	want := Column{
		Name: "k", Release: "6.1.0", Origin: "folder", Machine: "tcg", ProcessorSeconds: 30, BootSeconds: 2.5, FirstTestSeconds: 3, MemoryMiB: 600, Boots: 7,
		Problem: "the guest died", Console: "last lines",
		Cells: []*job.Cell{
			{Suite: "s", Name: wholeSuite, State: job.Crash, Reason: "one; two", Log: "1\n2", Files: []string{"a", "b"}},
			{Suite: "s", Name: "TestA", State: job.Fail}, {Suite: "s", Name: "TestB", State: job.Pass},
		},
		Features: []feature.Finding{{Kind: "helper", Name: "warp"}, {Kind: "helper", Name: "weft"}},
	}
	joined := Column{Name: "k", Cells: []*job.Cell{}}
	joined.join([]*Column{first, second})
	require.Equal(t, want, joined)

	empty := Column{Name: "k", Cells: []*job.Cell{}}
	empty.join([]*Column{{Problem: "no space"}, {Problem: "no space"}})
	require.Equal(t, Column{Name: "k", Problem: "no space", Cells: []*job.Cell{}}, empty, "one sentence, though two guests met it")
}

func TestNamesOfTests(t *testing.T) {
	folder := t.TempDir()
	text := `package p
func TestMain(m *testing.M) { panic("nobody runs it on the host") }
func TestB(t *testing.T) {}
func Test(t *testing.T) {}
func Testimony() {}
func FuzzX(f *testing.F) {}
func (s suite) TestMethod() {}
func BenchmarkY(b *testing.B) {}
func TestÄ(t *testing.T) {}`
	require.NoError(t, os.WriteFile(filepath.Join(folder, "a_test.go"), []byte(text), 0o644))
	tests, err := testsIn(folder, []string{"a_test.go"})
	require.NoError(t, err)
	require.Equal(t, []string{"FuzzX", "Test", "TestB", "TestÄ"}, tests)
}
