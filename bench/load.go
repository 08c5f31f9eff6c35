package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// load is what the machine has done so far, as CPU time summed over all CPUs.
type load struct {
	at     time.Time
	idle   time.Duration            // and waiting for disks
	stolen time.Duration            // by the hypervisor
	own    time.Duration            // this process, and the children that it has waited for
	kernel map[string]time.Duration // threads of the kernel, by number: they work for us and for others alike
}

// taken is what others took between two loads, in CPUs.
type taken struct{ foreign, stolen float64 }

// since is what others took from an earlier load on: all that was not idle, not
// stolen, not the kernel's and not our own. Idle and stolen time of /proc/stat are
// kept by clocks and not sampled by ticks, as the other fields are.
func (l load) since(earlier load) taken {
	wall := l.at.Sub(earlier.at)
	busy := time.Duration(runtime.NumCPU())*wall - (l.idle - earlier.idle) - (l.stolen - earlier.stolen)
	foreign := busy - (l.own - earlier.own)
	for thread, ran := range l.kernel { // those that have ended meanwhile take nothing of the others' with them
		foreign -= ran - earlier.kernel[thread]
	}
	return taken{
		foreign: max(0, foreign.Seconds()/wall.Seconds()),
		stolen:  (l.stolen - earlier.stolen).Seconds() / wall.Seconds(),
	}
}

func readLoad() (l load, err error) {
	l.at = time.Now()
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return l, fmt.Errorf("bench: what the machine does: %w", err)
	}
	if err := l.readStat(string(text)); err != nil {
		return l, err
	}
	var self unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &self); err != nil {
		return l, fmt.Errorf("bench: our own CPU time: %w", err)
	}
	var children unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_CHILDREN, &children); err != nil {
		return l, fmt.Errorf("bench: the CPU time of our children: %w", err)
	}
	l.own = time.Duration(self.Nano() + children.Utime.Nano() + children.Stime.Nano())
	l.kernel, err = kernelThreads()
	return l, err
}

// readStat reads the first line of /proc/stat: cpu, then user, nice, system, idle,
// iowait, irq, softirq and steal in hundredths of a second.
func (l *load) readStat(text string) error {
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every architecture of Go
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return fmt.Errorf("bench: /proc/stat begins with %q: expected the sum of all CPUs", line)
	}
	for _, f := range []struct {
		of    int
		total *time.Duration
	}{{4, &l.idle}, {5, &l.idle}, {8, &l.stolen}} {
		ticks, err := strconv.ParseInt(fields[f.of], 10, 64)
		if err != nil {
			return fmt.Errorf("bench: /proc/stat: %w", err)
		}
		*f.total += time.Duration(ticks) * tick
	}
	return nil
}

// kernelThreads is the CPU time of each kernel thread that there is now.
func kernelThreads() (map[string]time.Duration, error) {
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	threads := map[string]time.Duration{}
	for _, folder := range folders {
		text, err := os.ReadFile(filepath.Join(folder, "stat"))
		if err != nil || !isKernelThread(string(text)) {
			continue // it has ended, or is none
		}
		if ran, err := schedstat(filepath.Join(folder, "schedstat")); err == nil {
			threads[filepath.Base(folder)] = ran
		}
	}
	return threads, nil
}

// isKernelThread reads /proc/PID/stat: number, name in brackets, state, parent. All
// kernel threads are children of number 2, which is one itself.
func isKernelThread(stat string) bool {
	end := strings.LastIndex(stat, ")")
	fields := strings.Fields(stat[end+1:])
	return strings.HasPrefix(stat, "2 ") || len(fields) > 1 && fields[1] == "2"
}

// schedstat reads how long a thread was on a CPU, by the scheduler's clock.
func schedstat(path string) (time.Duration, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	onCPU, _, _ := strings.Cut(string(text), " ") // in nanoseconds
	ran, err := strconv.ParseInt(onCPU, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("bench: %s: %w", path, err)
	}
	return time.Duration(ran), nil
}
