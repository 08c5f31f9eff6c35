package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// The guest has one processor. Whoever tells the host what tests say must run before the tests go on: the next thing that a test does may be to
// take the kernel down, and with it all that is still on its way. So the first process and test2json are real-time tasks, and tests are not.

const realTime = 10 // any priority will do

// first makes all threads of this process real-time tasks. Threads and processes that they start are, too.
func first() error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	var errs []error
	for _, thread := range threads {
		if id, err := strconv.Atoi(thread.Name()); err == nil {
			errs = append(errs, unix.SchedSetAttr(id, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: realTime}, 0))
		}
	}
	return errors.Join(errs...)
}

// plainly becomes a command that runs as processes usually do.
func plainly(command []string) error {
	if len(command) == 0 {
		return errors.New("name a command")
	}
	path, err := exec.LookPath(command[0])
	if err != nil {
		return err
	}
	runtime.LockOSThread() // Of all threads it is this one that becomes the command.
	if err := unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL}, 0); err != nil {
		return fmt.Errorf("give up real-time scheduling: %w", err)
	}
	return &os.PathError{Op: "exec", Path: path, Err: unix.Exec(path, command, os.Environ())}
}
