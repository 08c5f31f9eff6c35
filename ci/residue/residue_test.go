package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/topo"
)

// The test binary plays three parts: the tests, residue itself (a process of its own, since the reaping of orphans is the whole process's
// affair), and the command under residue, which leaks one thing.
const (
	playResidue  = "RESIDUE_TEST_PLAY_RESIDUE"
	leak         = "RESIDUE_TEST_LEAK"
	orphan       = "RESIDUE_TEST_ORPHAN"
	cgroupToLeak = "RESIDUE_TEST_CGROUP"
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(playResidue) != "":
		os.Unsetenv(playResidue)
		main()
	case os.Getenv(orphan) != "":
		exitOn(hold(os.Getenv(orphan)))
	case os.Getenv(leak) != "":
		exitOn(leave(os.Getenv(leak)))
	default:
		os.Exit(m.Run())
	}
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	os.Exit(0)
}

// leave is the leaking command: it leaves a file or a cgroup behind, or an orphan that holds what only a process can hold.
func leave(what string) error {
	switch what {
	case "nothing":
		return nil
	case "exit status":
		os.Exit(5)
	case "stay":
		return waitForEnd()
	case "stay with a network":
		network, err := topo.Up(context.Background(), topo.Cluster(1))
		if err != nil {
			return err
		}
		for _, m := range network.Machines() {
			if _, err := m.Cgroup(); err != nil {
				return err
			}
		}
		return waitForEnd()
	case "stay with a cgroup":
		if err := os.Mkdir(os.Getenv(cgroupToLeak), 0o755); err != nil {
			return err
		}
		return waitForEnd()
	case "file":
		return os.WriteFile(filepath.Join(os.TempDir(), "left"), nil, 0o600)
	case "cgroup":
		return os.Mkdir(os.Getenv(cgroupToLeak), 0o755)
	}
	ready, child, err := os.Pipe()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), orphan+"="+what)
	cmd.Stdin, cmd.Stdout = os.Stdin, child
	if err := cmd.Start(); err != nil {
		return err
	}
	child.Close()
	_, err = ready.Read(make([]byte, 1))
	return err
}

// hold makes the orphan hold something until the test closes its standard input.
func hold(what string) error {
	switch what {
	case "process":
	case "namespace":
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
	case "map":
		m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "left", Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
		if err != nil {
			return err
		}
		defer m.Close()
	default:
		return fmt.Errorf("nobody knows how to leak a %s", what)
	}
	os.Stdout.Write([]byte{0})
	return waitForEnd()
}

func waitForEnd() error {
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

func TestEachLeakIsFound(t *testing.T) {
	needRoot(t)
	t.Parallel()
	for what, line := range map[string]string{
		"process":   `process \d+@\d+ is new: pid \d+ \S+/residue.test`,
		"namespace": `namespace net:\[\d+\] is new: held by pid \d+ \S+/residue.test`,
		"map":       `BPF map map \d+ is new: Array "left" held by pid \d+ \S+/residue.test`,
		"file":      `file .*/left is new`,
		"cgroup":    `cgroup .*/skbench-residue-test-\d+-cgroup is new`,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			status, out := residue(t, what, "-wait", "300ms")
			require.Equal(t, 1, status, out)
			require.Regexp(t, `(?m)^`+line, out)
		})
	}
}

func TestCleanCommandPasses(t *testing.T) {
	needRoot(t)
	t.Parallel()
	status, out := residue(t, "nothing")
	require.Zero(t, status, out)
}

func TestStatusOfTheCommand(t *testing.T) {
	needRoot(t)
	t.Parallel()
	status, out := residue(t, "exit status")
	require.Equal(t, 5, status, out)
}

func TestKilledAtRandom(t *testing.T) {
	needRoot(t)
	t.Parallel()
	t.Run("leaves nothing", func(t *testing.T) {
		t.Parallel()
		status, out := residue(t, "stay", "-kill-random", "3", "-within", "20ms")
		require.Zero(t, status, out)
		require.Contains(t, out, "killed 3 times of 3 within 20ms of the start, nothing left")
	})
	t.Run("leaves what the next run removes", func(t *testing.T) {
		t.Parallel()
		status, out := residue(t, "stay with a network", "-kill-random", "3", "-within", "1s")
		require.Zero(t, status, out)
		require.Contains(t, out, "nothing left")
	})
	t.Run("leaves a cgroup that nobody removes", func(t *testing.T) {
		t.Parallel()
		status, out := residue(t, "stay with a cgroup", "-kill-random", "3", "-within", "1s", "-wait", "300ms")
		require.Equal(t, 1, status, out)
		require.Regexp(t, `(?m)^cgroup .*-stay-with-a-cgroup is new$`, out)
	})
	t.Run("leaves an orphan", func(t *testing.T) {
		t.Parallel()
		status, out := residue(t, "process", "-kill-random", "3", "-within", "1s", "-wait", "300ms")
		require.Equal(t, 1, status, out)
		require.Regexp(t, `left by kill \d of 3, .* after the start; seed \d+`, out)
	})
	t.Run("never hit", func(t *testing.T) {
		t.Parallel()
		status, out := residue(t, "nothing", "-kill-random", "1", "-within", "100h")
		require.Equal(t, 2, status, out)
		require.Contains(t, out, "always ended before it was killed")
	})
	t.Run("learns the duration", func(t *testing.T) {
		t.Parallel()
		status, out := residue(t, "nothing", "-kill-random", "5", "-seed", "7")
		require.Zero(t, status, out)
		require.Regexp(t, `killed \d+ times of 5 within \S+ of the start, nothing left; seed 7`, out)
	})
}

func TestCompareWithFile(t *testing.T) {
	needRoot(t)
	folder := t.TempDir()
	t.Setenv("TMPDIR", folder)
	before := filepath.Join(t.TempDir(), "before.json")
	status, out := play(t, "", "snapshot", before)
	require.Zero(t, status, out)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "left"), nil, 0o600))
	status, out = play(t, "", "-wait", "300ms", "compare", before)
	require.Equal(t, 1, status, out)
	require.Contains(t, out, "file "+folder+"/left is new")
}

func TestBadCommandLines(t *testing.T) {
	needRoot(t)
	t.Parallel()
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "no command given"},
		{[]string{"--", "/no/such/command"}, "no such file"},
		{[]string{"compare", "/no/such/file"}, "no such file"},
		{[]string{"compare", "/proc/version"}, "is no snapshot"},
	} {
		_, err := run(test.args, io.Discard)
		require.ErrorContains(t, err, test.want)
	}
}

// residue runs a command that leaks something under residue, and returns the exit status and the output.
func residue(t *testing.T, leaking string, flags ...string) (int, string) {
	t.Helper()
	return play(t, leaking, append(flags, "--", executable(t))...)
}

// play runs residue in a process of its own. Whoever stays behind ends when the test does, by the end of its standard input.
func play(t *testing.T, leaking string, args ...string) (int, string) {
	t.Helper()
	stdin, end, err := os.Pipe()
	require.NoError(t, err)
	defer stdin.Close()
	t.Cleanup(func() { end.Close() })
	cgroup := filepath.Join(cgroupMount(t), strings.ReplaceAll(fmt.Sprintf("skbench-residue-test-%d-%s", os.Getpid(), leaking), " ", "-"))
	t.Cleanup(func() { os.Remove(cgroup) })

	var out bytes.Buffer
	cmd := exec.Command(executable(t), args...)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", playResidue+"=1", leak+"="+leaking, cgroupToLeak+"="+cgroup)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &out
	if err := cmd.Run(); cmd.ProcessState == nil {
		require.NoError(t, err)
	}
	return cmd.ProcessState.ExitCode(), out.String()
}

func executable(t *testing.T) string {
	t.Helper()
	name, err := os.Executable()
	require.NoError(t, err)
	return name
}

// cgroupMount finds a cgroup2 hierarchy, on whatever folder it is mounted.
func cgroupMount(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("findmnt", "-n", "-o", "TARGET", "-t", "cgroup2").Output()
	require.NoError(t, err, "no cgroup2 mounted")
	return string(bytes.TrimSpace(out))
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to see what other processes hold")
	}
}
