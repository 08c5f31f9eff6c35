package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// cpuClock tells the CPU time that packet processing on one CPU takes, for a
// generator that runs on the same CPU: the generator's thread, in whose context
// most softirqs run, and the CPU's ksoftirqd, which takes over under load. Both
// come from the scheduler's clock, to the nanosecond. The tick-sampled
// /proc/stat is no measure: work that is done between ticks is charged to
// whoever the tick finds.
type cpuClock struct {
	schedstat string // of the CPU's ksoftirqd
}

func newCPUClock(cpu int) (*cpuClock, error) {
	want := fmt.Sprintf("ksoftirqd/%d\n", cpu)
	files, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		if comm, err := os.ReadFile(file); err == nil && string(comm) == want {
			return &cpuClock{schedstat: filepath.Join(filepath.Dir(file), "schedstat")}, nil
		}
	}
	return nil, fmt.Errorf("bench: no kernel thread ksoftirqd/%d: is CPU %d online?", cpu, cpu)
}

// now reads the clock. It must be called on the generator's thread.
func (c *cpuClock) now() (time.Duration, error) {
	thread, err := threadTime()
	if err != nil {
		return 0, err
	}
	softirq, err := schedstat(c.schedstat)
	if err != nil {
		return 0, fmt.Errorf("bench: ksoftirqd's CPU time: %w", err)
	}
	return thread + softirq, nil
}

// threadTime is the CPU time of the calling thread.
func threadTime() (time.Duration, error) {
	var thread unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &thread); err != nil {
		return 0, fmt.Errorf("bench: the thread's CPU time: %w", err)
	}
	return time.Duration(thread.Nano()), nil
}
