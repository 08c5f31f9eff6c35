package main

import (
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/ci/matrix/job"
)

// splat matches the line with which the kernel begins to complain of itself; harmless those that say nothing of the datapath.
var (
	splat = regexp.MustCompile(`WARNING: |BUG: |INFO: .*(blocked for more|self-detected stall|detected stalls|possible recursive locking)|` +
		`Out of memory|oom-kill|general protection fault|Oops|unregister_netdevice: waiting|refcount_t: |UBSAN:|KASAN:`)
	harmless = regexp.MustCompile(`spectre|Spectre|MDS|retbleed|SRBDS|microcode|Unsafe|unsafe`)
)

// kernelLog reads what the kernel writes from now on.
type kernelLog struct {
	fd   int
	send func(job.Record)
	mu   sync.Mutex
	text strings.Builder // of the splat being read
}

// followKernel sends the kernel's complaints of itself.
func followKernel(send func(job.Record)) (*kernelLog, error) {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: "/dev/kmsg", Err: err}
	}
	l := &kernelLog{fd: fd, send: send}
	go func() {
		for {
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
			time.Sleep(50 * time.Millisecond) // A splat is many records: they are sent as one.
			l.drain()
		}
	}()
	return l, nil
}

// drain reads what there is. A splat goes on until the log is at its end.
func (l *kernelLog) drain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	record := make([]byte, 8192)
	for {
		n, err := unix.Read(l.fd, record)
		if err == unix.EPIPE { // Some were overwritten before they were read.
			continue
		}
		if err != nil || n == 0 {
			break
		}
		_, line, _ := strings.Cut(string(record[:n]), ";") // "level,number,time,flags;text"
		line, _, _ = strings.Cut(line, "\n")
		if l.text.Len() == 0 && (!splat.MatchString(line) || harmless.MatchString(line)) {
			continue
		}
		l.text.WriteString(line + "\n")
	}
	if l.text.Len() > 0 {
		l.send(job.Record{Kind: job.Splat, Text: l.text.String()})
		l.text.Reset()
	}
}
