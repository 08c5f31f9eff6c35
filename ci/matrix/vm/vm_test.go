package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/ci/matrix/job"
)

// fakeQEMU puts a script in QEMU's place, which writes its process id to a file first, and returns the file.
func fakeQEMU(t *testing.T, script string) (pidFile string) {
	t.Helper()
	folder := t.TempDir()
	pidFile = filepath.Join(folder, "pid")
	text := "#!/bin/sh\necho $$ > " + pidFile + "\n" + script + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(folder, Command), []byte(text), 0o755))
	t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
	return pidFile
}

// processID is the process id that a file holds.
func processID(t *testing.T, file string) int {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	return pid
}

// requireGone fails if the process whose id a file holds still is there.
func requireGone(t *testing.T, pidFile string) {
	t.Helper()
	pid := processID(t, pidFile)
	require.Eventually(t, func() bool { return errors.Is(unix.Kill(pid, 0), unix.ESRCH) }, 5*time.Second, time.Millisecond, "QEMU still runs")
}

func TestRun(t *testing.T) {
	hello := `echo '{"kind":"hello","text":"7.9"}'; `
	for _, test := range []struct {
		name, script string
		kinds        []job.Kind
		is           error
		says         string
	}{
		{name: "done", script: hello + `echo '{"kind":"done"}'; exec sleep 60`, kinds: []job.Kind{job.Hello, job.Done}},
		{name: "died", script: hello + "exit 3", kinds: []job.Kind{job.Hello}, is: ErrDied, says: "exit status 3"},
		{name: "refused", script: "echo could not load kernel >&2; exit 1", is: ErrDied, says: "could not load kernel"},
		{name: "says nothing and works", script: hello + "while :; do :; done", kinds: []job.Kind{job.Hello}, is: ErrHung, says: "it sent nothing for"},
		{name: "says much and does not end", script: "while :; do " + hello + "done", is: ErrHung, says: "it was not done after"},
		{name: "says what is no record", script: "echo text; exec sleep 60", says: `what is no record: "text\n"`},
		{name: "waits for its input, which never ends", script: hello + `read line; echo '{"kind":"done"}'`, kinds: []job.Kind{job.Hello}, is: ErrHung},
	} {
		t.Run(test.name, func(t *testing.T) {
			pid := fakeQEMU(t, test.script)
			var kinds []job.Kind
			machine := Machine{Silence: time.Second, Limit: 2 * time.Second}
			if test.name == "waits for its input, which never ends" {
				machine.Silence = 200 * time.Millisecond
			}
			_, err := machine.Run(t.Context(), func(r job.Record) {
				if len(kinds) < 3 {
					kinds = append(kinds, r.Kind)
				}
			})
			if test.is == nil && test.says == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, test.says)
			}
			if test.is != nil {
				require.ErrorIs(t, err, test.is)
			}
			if test.kinds != nil {
				require.Equal(t, test.kinds, kinds)
			}
			requireGone(t, pid)
		})
	}
}

func TestInterruptedRun(t *testing.T) {
	pid := fakeQEMU(t, `echo '{"kind":"hello"}'; exec sleep 3600`)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := Machine{}.Run(ctx, func(job.Record) { stop() })
		ended <- err
	}()
	select {
	case err := <-ended:
		require.ErrorIs(t, err, context.Canceled)
		requireGone(t, pid)
	case <-time.After(time.Minute):
		require.NoError(t, unix.Kill(processID(t, pid), unix.SIGKILL))
		t.Fatal("it runs on after it was interrupted")
	}
}

func TestWithoutQEMU(t *testing.T) {
	t.Setenv("PATH", "")
	_, err := Machine{}.Run(t.Context(), nil)
	require.EqualError(t, err, "there is no qemu-system-x86_64: apt-get install qemu-system-x86")
}

// TestKilledRun kills a process that runs a machine, as nobody can prepare for.
func TestKilledRun(t *testing.T) {
	if os.Getenv("SKBENCH_TEST_RUN") != "" {
		_, err := Machine{}.Run(t.Context(), func(job.Record) { fmt.Println("it runs") })
		t.Fatal("not killed", err)
	}
	pid := fakeQEMU(t, `echo '{"kind":"hello"}'; exec sleep 60`)
	parent := exec.Command(os.Args[0], "-test.run=^TestKilledRun$")
	parent.Env = append(os.Environ(), "SKBENCH_TEST_RUN=1")
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	_, err = out.Read(make([]byte, 1))
	require.NoError(t, err)
	require.NoError(t, parent.Process.Kill())
	_ = parent.Wait()
	requireGone(t, pid)
}

func TestArguments(t *testing.T) {
	args := strings.Join(Machine{Image: "vmlinux", Initramfs: "root.cpio", Accelerator: TCG, MemoryMiB: 700, Console: "c.log"}.args(), " ")
	for _, want := range []string{"-accel tcg", "-m 700", "-kernel vmlinux", "-initrd root.cpio", "file:c.log", "panic=-1", "oops=panic", "-smp 1",
		"erms=off", "no_timer_check", "norandmaps", "nohz=off"} {
		require.Contains(t, args, want)
	}
	require.Contains(t, strings.Join(Machine{Accelerator: KVM}.args(), " "), "-accel kvm")
}
