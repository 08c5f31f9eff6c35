// Package vm runs a kernel with an initramfs in QEMU and reads what its first process sends.
package vm

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/ci/matrix/job"
)

// Machine describes a virtual machine. Nothing runs before Run.
type Machine struct {
	Image     string // bzImage or ELF
	Initramfs string
	Accelerator
	// MemoryMiB is the guest's memory; 0: 1024.
	MemoryMiB int
	// Limit bounds the whole run in processor time of the machine, so that others on the host do not cut it short. 0: none.
	Limit time.Duration
	// Silence is how long, in processor time, the guest may send nothing. 0: none.
	Silence time.Duration
	// Console is the file that the guest's console is written to.
	Console string
	// WithoutVirtio leaves the guest but serial ports, as a kernel without virtio does.
	WithoutVirtio bool
}

// Accelerator is how a guest's instructions are run.
type Accelerator string

// The accelerators of QEMU that are used.
const (
	KVM Accelerator = "kvm"
	TCG Accelerator = "tcg" // emulation
)

// Command is QEMU's name.
const Command = "qemu-system-x86_64"

// ErrHung is a guest that did not send for longer than it may, or did not end.
var ErrHung = errors.New("the guest hangs")

// ErrDied is a guest that ended before its job was done.
var ErrDied = errors.New("the guest died")

// Run boots the machine and calls each with what it sends, until the job is done. Whatever happens, QEMU is gone when it returns. used is the
// processor time that it took.
func (m Machine) Run(ctx context.Context, each func(job.Record)) (used time.Duration, err error) {
	if _, err := exec.LookPath(Command); err != nil {
		return 0, fmt.Errorf("there is no %s: apt-get install qemu-system-x86", Command)
	}
	caller := ctx
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	cmd := exec.CommandContext(ctx, Command, m.args()...)
	// Writes of the guest block for ever once QEMU's standard input ends, so it stays open until QEMU is gone.
	input, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	defer input.Close()
	output, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	serial, serialEnd, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer serial.Close()
	defer serialEnd.Close()
	cmd.ExtraFiles = []*os.File{serialEnd}
	var complaint strings.Builder
	cmd.Stderr = &complaint
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL, Setpgid: true} // An interrupt at the terminal is ours to pass on.
	if err := start(cmd); err != nil {
		return 0, fmt.Errorf("start %s: %w", Command, err)
	}
	var heard atomic.Int64 // records so far
	go m.watch(ctx, cmd.Process.Pid, &heard, stop)
	serialEnd.Close() // QEMU has the only one now, so that reading ends with it.
	done, readErr := readEither(output, serial, func(r job.Record) {
		heard.Add(1)
		each(r)
	})
	if done || readErr != nil {
		stop(nil)
	}
	waitErr := cmd.Wait() // Else it has ended by itself, or does so now.
	used = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	switch cause := context.Cause(ctx); {
	case done:
		return used, nil
	case errors.Is(cause, ErrHung):
		return used, cause
	case caller.Err() != nil:
		return used, context.Cause(caller)
	case readErr != nil:
		return used, readErr
	default:
		return used, fmt.Errorf("%w (%v)%s", ErrDied, waitErr, said(complaint.String()))
	}
}

func said(complaint string) string {
	if complaint = strings.Join(strings.Fields(complaint), " "); complaint != "" {
		return ": " + complaint
	}
	return ""
}

// start starts QEMU from a thread that stays, since QEMU dies with the thread that started it.
func start(cmd *exec.Cmd) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		started <- cmd.Start()
		if cmd.Process != nil {
			// Until QEMU is gone; who waits for it does so elsewhere.
			for unix.Kill(cmd.Process.Pid, 0) == nil {
				time.Sleep(100 * time.Millisecond)
			}
		}
	}()
	return <-started
}

// kernelParameters of guests.
var kernelParameters = []string{
	"console=ttyS0", "loglevel=5", "panic=-1", "oops=panic",
	"cryptomgr.notests", // each algorithm would test itself when it is first used
	"nokaslr", "init_on_alloc=0",
	"norandmaps",                              // the emulator translates code by its address: what lies elsewhere in each process is translated for each
	"highres=off",                             // to set a timer leaves the emulated code: once a tick instead of for each sleep of whoever looks again and again
	"nohz=off",                                // and the tick comes by itself, without being set for each
	"clearcpuid=112",                          // rep_good: as cpu says of string instructions, for those that the kernel uses without being told that they are fast
	"rcupdate.rcu_expedited=1",                // else each attachment and namespace that goes waits for ticks to pass
	"mitigations=off",                         // of no use in a guest of one's own, and dear under emulation
	"lsm=landlock,lockdown,yama,bpf", "psi=0", // other security modules look at each file and socket, and nobody asks about pressure
	// Whether timers work and agree is measured against clocks that go on while a busy host runs others: kernels have panicked of it as they booted.
	"no_timer_check", "tsc=reliable",
	// A host that others share may not run the guest for many seconds. That is no lockup; the watchdog outside tells one by its processor time.
	"nowatchdog", "rcupdate.rcu_cpu_stall_timeout=120",
}

// cpu has all that can be emulated but a fifth level of page tables, which makes each walk through them longer, and the promise that string
// instructions copy fast: the emulator copies by them a byte at a time, and the verifier, who copies its states all the time, took a fifth longer.
const cpu = "max,la57=off,erms=off,fsrm=off"

func (m Machine) args() []string {
	memory := m.MemoryMiB
	if memory == 0 {
		memory = 1024
	}
	args := []string{
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-M", "q35", "-cpu", cpu, "-smp", "1", "-m", fmt.Sprint(memory),
		"-kernel", m.Image, "-initrd", m.Initramfs,
		"-append", strings.Join(kernelParameters, " "),
		"-serial", "file:" + m.Console,
		// The second serial port is for guests that have no other, since it is slow. Of ExtraFiles the first is descriptor 3.
		"-chardev", "file,id=slow,path=/dev/fd/3", "-serial", "chardev:slow",
		"-chardev", "stdio,id=records,signal=off",
	}
	if !m.WithoutVirtio {
		args = append(args, "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=records,name="+job.Port)
	}
	if m.Accelerator == KVM {
		return append(args, "-accel", "kvm")
	}
	return append(args, "-accel", "tcg")
}

// readEither reads records of the one port that the guest sends by: it chooses at its start, and keeps to it.
func readEither(virtio, serial io.Reader, each func(job.Record)) (done bool, err error) {
	type end struct {
		done bool
		err  error
	}
	var one sync.Mutex
	locked := func(r job.Record) {
		one.Lock()
		defer one.Unlock()
		each(r)
	}
	ends := make(chan end, 2)
	for _, port := range []io.Reader{virtio, serial} {
		go func() {
			done, err := read(port, locked)
			ends <- end{done, err}
		}()
	}
	for range 2 {
		if e := <-ends; e.done || e.err != nil {
			return e.done, e.err
		}
	}
	return false, nil
}

// read calls each for the records, and tells whether the last was that all is done.
func read(from io.Reader, each func(job.Record)) (done bool, err error) {
	for lines := bufio.NewReaderSize(from, 1<<16); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return false, nil // The guest is gone; Run tells why.
		}
		var r job.Record
		if err := json.Unmarshal(line, &r); err != nil {
			return false, fmt.Errorf("the guest sent what is no record: %.80q", line)
		}
		each(r)
		if r.Kind == job.Done {
			return true, nil
		}
	}
}

// watch stops a guest that takes too long.
func (m Machine) watch(ctx context.Context, pid int, heard *atomic.Int64, stop context.CancelCauseFunc) {
	var last int64
	var lastAt time.Duration
	started := time.Now()
	lastWall := started
	for ticks := time.Tick(500 * time.Millisecond); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticks:
		}
		used := processorTime(pid)
		if now := heard.Load(); now != last {
			last, lastAt, lastWall = now, used, time.Now()
		}
		switch {
		// A guest that waits for nothing uses no processor: then the clock on the wall counts, with room for a busy host.
		case m.Silence > 0 && (used-lastAt > m.Silence || time.Since(lastWall) > idle*m.Silence):
			stop(fmt.Errorf("%w: it sent nothing for %v", ErrHung, time.Since(lastWall).Round(time.Second)))
			return
		case m.Limit > 0 && (used > m.Limit || time.Since(started) > idle*m.Limit):
			stop(fmt.Errorf("%w: it was not done after %v", ErrHung, time.Since(started).Round(time.Second)))
			return
		}
	}
}

// idle is how many times longer a guest may take by the clock than by the processor.
const idle = 8

// processorTime is what a process has used so far, its threads together.
func processorTime(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The command's name stands in parentheses and may hold anything. utime and stime are fields 14 and 15, in ticks of 10 ms.
	_, rest, _ := strings.Cut(string(text), ") ")
	var user, system int64
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	_, _ = fmt.Sscan(fields[11], &user)
	_, _ = fmt.Sscan(fields[12], &system)
	return time.Duration(user+system) * 10 * time.Millisecond
}
