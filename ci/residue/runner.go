package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/ci/residue/snapshot"
	"github.com/skbench/skbench/topo"
)

// runner runs one command and compares the machine before and after.
type runner struct {
	command []string
	wait    time.Duration
	out     io.Writer

	temp   string // the command's TMPDIR
	before snapshot.Snapshot
	took   time.Duration // by the last run to the end
}

// begin prepares the machine for runs of the command; the caller calls end.
func (r *runner) begin() (end func(), err error) {
	// Processes that lose their parent come to the nearest ancestor that asks for them, and stay visible as descendants.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("become the reaper of orphans: %w", err)
	}
	if r.temp, err = os.MkdirTemp("", "residue-"); err != nil {
		return nil, err
	}
	end = func() { os.RemoveAll(r.temp) }
	if r.before, err = snapshot.Take(snapshot.Options{Folders: []string{r.temp}}); err != nil {
		end()
		return nil, err
	}
	return end, nil
}

// run runs the command to its end.
func (r *runner) run() (int, error) {
	end, err := r.begin()
	if err != nil {
		return 0, err
	}
	defer end()
	return r.runToEnd()
}

func (r *runner) runToEnd() (int, error) {
	cmd := r.build()
	cmd.Stdout, cmd.Stderr = r.out, os.Stderr
	// An interrupt from the terminal reaches the command too. What it leaves then is of interest, so it is not to end the comparison.
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(interrupts)
	start := time.Now()
	err := cmd.Run()
	r.took = time.Since(start)
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		return 0, err
	}
	if err != nil {
		fmt.Fprintf(r.out, "the command ended with %v\n", err)
	}
	if status, err := r.verdict(func() error { return nil }); status != 0 || err != nil {
		return status, err
	}
	if status := cmd.ProcessState.ExitCode(); status >= 0 {
		return status, nil
	}
	return 1, nil // It was killed by a signal.
}

// killRandomly runs the command and kills it, n times, each at a random moment within the given time of its start. It goes on only when the
// machine is as before: the kernel does not bear the programs of very many runs freed at once.
func (r *runner) killRandomly(n int, within time.Duration, seed uint64) (int, error) {
	if within < 0 {
		return 0, fmt.Errorf("cannot kill within %v: give -within a time to come", within)
	}
	if err := topo.RemoveStaleCgroups(); err != nil {
		return 0, err
	}
	end, err := r.begin()
	if err != nil {
		return 0, err
	}
	defer end()
	if within == 0 {
		if status, err := r.runToEnd(); status != 0 || err != nil {
			return status, err
		}
		within = r.took
	}
	moments := rand.New(rand.NewPCG(seed, 0))
	killed := 0
	for i := range n {
		after := time.Duration(moments.Int64N(int64(within)))
		running, err := r.killAfter(after)
		if err != nil {
			return 0, err
		}
		if running {
			killed++
		}
		if status, err := r.verdict(topo.RemoveStaleCgroups); status != 0 || err != nil {
			fmt.Fprintf(r.out, "left by kill %d of %d, %v after the start; seed %d\n", i+1, n, after, seed)
			return status, err
		}
	}
	if killed == 0 {
		return 0, fmt.Errorf("the command always ended before it was killed, within %v of the start: give a shorter -within", within)
	}
	fmt.Fprintf(r.out, "killed %d times of %d within %v of the start, nothing left; seed %d\n", killed, n, within.Round(time.Millisecond), seed)
	return 0, nil
}

// killAfter starts the command, lets it run for a time and kills it; false: it had ended before.
func (r *runner) killAfter(d time.Duration) (running bool, err error) {
	cmd := r.build()
	if err := cmd.Start(); err != nil {
		return false, err
	}
	kill := time.AfterFunc(d, func() { cmd.Process.Kill() })
	defer kill.Stop()
	err = cmd.Wait()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		return false, err
	}
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled(), nil
}

func (r *runner) build() *exec.Cmd {
	cmd := exec.Command(r.command[0], r.command[1:]...)
	cmd.Env = append(os.Environ(), "TMPDIR="+r.temp)
	cmd.Stdin = os.Stdin
	return cmd
}

// verdict waits until the machine is as before the command, and reports what is not. What the next run of the command would remove by itself,
// remove does in its place.
func (r *runner) verdict(remove func() error) (int, error) {
	left, err := snapshot.Settle(r.before, func() (snapshot.Snapshot, error) {
		reapOrphans()
		if err := remove(); err != nil {
			return snapshot.Snapshot{}, err
		}
		return snapshot.Take(snapshot.Options{Folders: []string{r.temp}, Ours: func(all map[int]snapshot.Process, p snapshot.Process) bool {
			return snapshot.IsBelow(all, p, os.Getpid())
		}})
	}, r.wait)
	if err != nil {
		return 0, err
	}
	return report(r.out, r.before, left), nil
}

// reapOrphans takes the exit statuses of the command's orphans, which became children of this process. No other child runs meanwhile.
func reapOrphans() {
	for {
		if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); pid <= 0 || err != nil {
			return
		}
	}
}
