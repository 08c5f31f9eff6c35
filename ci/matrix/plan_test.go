package matrix

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/ci/matrix/kernel"
	"github.com/skbench/skbench/ci/matrix/vm"
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
	ownCache(t)
	fakeQEMU(t, "echo could not load kernel >&2; exit 1")
	o := options(t)
	o.Kernels, o.Run = []string{"6.1", "host", "4.4", "/no/such/kernel"}, "^NoSuchTest$"
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
	problems := map[string]string{}
	for _, column := range m.Kernels {
		problems[column.Name] = column.Problem
		require.NotContains(t, column.Problem, "\n", "one sentence")
	}
	require.Len(t, problems, 3)
	require.Contains(t, problems["6.1"], "the guest died (exit status 1): could not load kernel before it told anything: see whether its vmlinuz is whole")
	require.NotContains(t, problems["kernel"], "kernel kernel:", "its column names it")
	require.Contains(t, problems["kernel"], "give one that has vmlinuz and modules")
	require.Empty(t, problems["host"])
	require.NotEmpty(t, m.Kernels[1].Features, "the rest went on")

	for want, change := range map[string]func(*Options){
		"name the list with --list":         func(o *Options) { o.List = "/no/such/list" },
		"kernel 4.4 is not in":              func(o *Options) { o.Kernels = []string{"4.4"} },
		"choose another with --out":         func(o *Options) { o.Out = "/proc/none" },
		"--run: error parsing regexp":       func(o *Options) { o.Run = "(" },
		"run this in skbench's source tree": func(o *Options) { o.Tree = empty },
	} {
		o := options(t)
		change(&o)
		_, err := Run(t.Context(), o)
		require.ErrorContains(t, err, want)
	}
}

// TestInterruptedRunLeavesNothing stops a run while a guest boots, as an interrupt at the terminal does.
func TestInterruptedRunLeavesNothing(t *testing.T) {
	own := ownCache(t)
	pidFile := fakeQEMU(t, "exec sleep 600")
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	o := options(t)
	o.Suites = []string{"ci/matrix/testdata/suite"}
	go func() {
		for ctx.Err() == nil {
			if text, err := os.ReadFile(pidFile); err == nil && strings.HasSuffix(string(text), "\n") {
				interrupt()
			}
			time.Sleep(time.Millisecond)
		}
	}()
	_, err := Run(ctx, o)
	require.ErrorIs(t, err, context.Canceled)
	text, err := os.ReadFile(pidFile)
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	require.ErrorIs(t, unix.Kill(pid, 0), unix.ESRCH, "QEMU is gone")
	runs, err := os.ReadDir(filepath.Join(own, "runs"))
	require.NoError(t, err)
	require.Empty(t, runs)
}

// ownCache gives the test a cache of its own, which has the kernels of the user's, and returns its folder. What a stand-in for QEMU makes of KVM
// must not be taken for the truth later.
func ownCache(t *testing.T) string {
	t.Helper()
	needQEMU(t)
	o := options(t)
	list, err := kernel.ReadList(o.List)
	require.NoError(t, err)
	wanted, err := list.Select(o.Kernels...)
	require.NoError(t, err)
	users, err := kernel.UserCache()
	require.NoError(t, err)
	cache := kernel.Cache{Dir: users, Mirror: list.Mirror, Progress: o.Progress}
	_, err = cache.Get(t.Context(), wanted[0])
	require.NoError(t, err)

	compiled, err := exec.Command("go", "env", "GOCACHE").Output()
	require.NoError(t, err)
	t.Setenv("GOCACHE", strings.TrimSpace(string(compiled))) // which lies in the folder that is changed here, too
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	own, err := kernel.UserCache()
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(own, 0o755))
	require.NoError(t, os.Symlink(filepath.Join(users, "kernels"), filepath.Join(own, "kernels")))
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(own, "kvm"), []byte(strings.TrimSpace(string(boot))+" "+string(vm.TCG)), 0o644))
	return own
}

// fakeQEMU puts a script in QEMU's place, which writes its process id to a file first, and returns the file.
func fakeQEMU(t *testing.T, script string) (pidFile string) {
	t.Helper()
	folder := t.TempDir()
	pidFile = filepath.Join(folder, "pid")
	text := "#!/bin/sh\n[ \"$1\" != --version ] || exit\necho $$ > " + pidFile + "\n" + script + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(folder, vm.Command), []byte(text), 0o755))
	t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
	return pidFile
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
