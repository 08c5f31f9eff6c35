package matrix

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestShards(t *testing.T) {
	whole, err := ParseShard("")
	require.NoError(t, err)
	require.True(t, whole.has(0) && whole.has(7))
	require.Empty(t, whole.String())

	seen := map[int]int{}
	for _, text := range []string{"1/3", "2/3", "3/3"} {
		s, err := ParseShard(text)
		require.NoError(t, err)
		require.Equal(t, text, s.String())
		for i := range 7 {
			if s.has(i) {
				seen[i]++
			}
		}
	}
	require.Equal(t, map[int]int{0: 1, 1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 1}, seen, "each kernel is in one shard")
	for _, text := range []string{"3", "0/3", "4/3", "a/b", "1/", "-1/2"} {
		_, err := ParseShard(text)
		require.ErrorContains(t, err, "write i/n with 1 <= i <= n", text)
	}
}

func TestExactlyMatchesOneTest(t *testing.T) {
	for part, pattern := range map[string]string{
		"TestA": "^TestA$", "TestA/ebpf/IPv4": "^TestA$/^ebpf$/^IPv4$", "TestA/live_frames_(BPF)": `^TestA$/^live_frames_\(BPF\)$`,
	} {
		require.Equal(t, pattern, exactly(part))
	}
}

func TestQuickScenariosAreThere(t *testing.T) {
	sources, err := filepath.Glob("../../scenarios/*_test.go")
	require.NoError(t, err)
	var all []string
	for _, source := range sources {
		text, err := os.ReadFile(source)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(string(text), -1) {
			all = append(all, m[1])
		}
	}
	for _, name := range quick {
		require.Contains(t, all, name, "the quick suite names a scenario that is no more")
	}
	top, _, _ := strings.Cut(quickPattern(quick), "/")
	only := regexp.MustCompile(top)
	matched := slices.DeleteFunc(all, func(name string) bool { return !only.MatchString(name) })
	require.Len(t, matched, len(quick))
}

// TestBadInput holds what users get wrong against what they are told: one sentence with the mend, while the rest goes on.
func TestBadInput(t *testing.T) {
	empty := t.TempDir()
	o := options(t)
	o.Kernels, o.Run = []string{"host", "4.4"}, "^NoSuchTest$"
	o.Suites, o.Objects = []string{"no/such/suite", empty}, []string{"/no/such.o"}
	m, err := Run(t.Context(), o)
	require.NoError(t, err)
	require.Len(t, m.Problems, 4)
	for i, want := range []string{
		"kernel 4.4 is not in", "suite no/such/suite: stat ", "suite " + empty + ": there are neither Go tests nor vectors in it: name a folder that has some",
		"object /no/such.o: ",
	} {
		require.Contains(t, m.Problems[i], want)
	}
	require.Len(t, m.Kernels, 1)
	require.Equal(t, "host", m.Kernels[0].Name)
	require.NotEmpty(t, m.Kernels[0].Features, "the rest went on")

	for want, change := range map[string]func(*Options){
		"name the list with --list":         func(o *Options) { o.List = "/no/such/list" },
		"kernel 4.4 is not in":              func(o *Options) { o.Kernels = []string{"4.4"} },
		"--run: error parsing regexp":       func(o *Options) { o.Run = "(" },
		"run this in skbench's source tree": func(o *Options) { o.Tree = empty },
	} {
		o := options(t)
		change(&o)
		_, err := Run(t.Context(), o)
		require.ErrorContains(t, err, want)
	}
}

func TestWorkOfKilledRunsIsSweptUp(t *testing.T) {
	below := t.TempDir()
	killed := filepath.Join(below, "run-killed")
	require.NoError(t, os.Mkdir(killed, 0o755))
	mine, done, err := workFolder(below)
	require.NoError(t, err)
	require.NoDirExists(t, killed)
	other, doneOther, err := workFolder(below)
	require.NoError(t, err)
	require.DirExists(t, mine, "it is in use")
	done()
	doneOther()
	require.NoDirExists(t, mine)
	require.NoDirExists(t, other)
	require.True(t, strings.HasPrefix(filepath.Base(other), "run-"))
}
