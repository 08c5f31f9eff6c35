package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/ci/matrix/job"
)

// mounts are the file systems that tests expect. Those that a kernel does not have are left out.
var mounts = []struct{ kind, at string }{
	{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"devpts", "/dev/pts"}, {"tmpfs", "/run"}, {"tmpfs", "/tmp"},
	{"cgroup2", "/sys/fs/cgroup"}, {"bpf", "/sys/fs/bpf"}, {"tracefs", "/sys/kernel/tracing"}, {"debugfs", "/sys/kernel/debug"},
}

// boot sets the guest up, runs its job and sends what comes of it.
func boot() error {
	for _, m := range mounts {
		if err := os.MkdirAll(m.at, 0o755); err != nil && !errors.Is(err, unix.EPERM) { // /sys makes its own
			fmt.Println("guest:", err)
		}
		if err := unix.Mount(m.kind, m.at, m.kind, 0, ""); err != nil {
			fmt.Printf("guest: mount %s: %v\n", m.at, err)
		}
	}
	for name, value := range map[string]string{
		"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "TMPDIR": "/tmp", "USER": "root", "LANG": "C.UTF-8",
		// To collect garbage takes an emulated processor long, and a guest has memory enough for what tests leave lying.
		"GOGC": "off", "GOMEMLIMIT": "256MiB",
	} {
		os.Setenv(name, value)
	}
	if err := os.WriteFile("/proc/sys/net/core/bpf_jit_enable", []byte("1"), 0); err != nil {
		fmt.Println("guest: switch the JIT on:", err)
	}
	if err := loopbackUp(); err != nil {
		fmt.Println("guest: lo:", err)
	}
	if err := first(); err != nil {
		fmt.Println("guest: real-time scheduling:", err)
	}
	port, err := openPort()
	if err != nil {
		return err
	}
	out := &sender{to: port}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return err
	}
	out.send(job.Record{Kind: job.Hello, Text: unix.ByteSliceToString(name.Release[:])})

	text, err := os.ReadFile(job.Path)
	if err != nil {
		return err
	}
	var left job.Job
	if err := json.Unmarshal(text, &left); err != nil {
		return fmt.Errorf("%s: %w", job.Path, err)
	}
	// Before 5.18 nothing makes the kernel load it: ipvsadm does.
	if err := load("ip_vs"); err != nil {
		fmt.Println("guest:", err)
	}
	kernelLog, err := followKernel(out.send)
	if err != nil {
		return err
	}
	watched := watchMemory()
	err = left.Run(context.Background(), job.Artefacts, out.send)
	if err != nil {
		fmt.Println("guest:", err)
	}
	kernelLog.drain()
	out.send(job.Record{Kind: job.Memory, Text: fmt.Sprint(watched())})
	out.send(job.Record{Kind: job.Done})
	return out.err
}

// sender writes records as lines of JSON.
type sender struct {
	mu  sync.Mutex
	to  io.Writer
	err error
}

func (s *sender) send(r job.Record) {
	line, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings and bytes always marshal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		_, s.err = s.to.Write(append(line, '\n'))
	}
}

// openPort opens the virtio-serial port, or the second serial port where the kernel has no virtio.
func openPort() (io.Writer, error) {
	for _, module := range []string{"virtio_pci", "virtio_console"} {
		if err := load(module); err != nil {
			fmt.Println("guest:", err)
		}
	}
	// The port comes a moment after its driver: the device tells of it by a message.
	for deadline := time.Now().Add(5 * time.Second); hasVirtio() && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		ports, _ := filepath.Glob("/sys/class/virtio-ports/*/name")
		for _, name := range ports {
			if text, err := os.ReadFile(name); err == nil && strings.TrimSpace(string(text)) == job.Port {
				// Not through os.File: the runtime's poller and the port do not agree on old kernels.
				fd, err := unix.Open("/dev/"+filepath.Base(filepath.Dir(name)), unix.O_WRONLY|unix.O_CLOEXEC, 0)
				return blocking(fd), err
			}
		}
	}
	fmt.Println("guest: there is no virtio-serial port: using the serial port, which is slow")
	fd, err := unix.Open("/dev/ttyS1", unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("there is no port to send results by: %w", err)
	}
	if state, err := unix.IoctlGetTermios(fd, unix.TCGETS); err == nil {
		state.Oflag &^= unix.OPOST
		_ = unix.IoctlSetTermios(fd, unix.TCSETS, state)
	}
	return blocking(fd), nil
}

// hasVirtio tells whether the machine has a device of virtio's that the kernel drives.
func hasVirtio() bool {
	devices, _ := filepath.Glob("/sys/bus/virtio/devices/*")
	return len(devices) > 0
}

// blocking is a descriptor whose writes wait until all is written.
type blocking int

func (b blocking) Write(text []byte) (written int, err error) {
	for written < len(text) {
		n, err := unix.Write(int(b), text[written:])
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
			continue
		}
		if err != nil {
			return written, err
		}
		written += n
	}
	return written, nil
}

// loopbackUp sets lo up, which tests of the machine's own namespace use.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(uint16(net.FlagUp))
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}

// watchMemory samples how much memory is in use, and returns a function that tells the most, in MiB.
func watchMemory() func() uint64 {
	var most uint64
	stop, stopped := make(chan struct{}), make(chan struct{})
	look := func() {
		var total, available uint64
		text, err := os.ReadFile("/proc/meminfo")
		if err != nil {
			return
		}
		for line := range strings.Lines(string(text)) {
			_, _ = fmt.Sscanf(line, "MemTotal: %d kB", &total)
			_, _ = fmt.Sscanf(line, "MemAvailable: %d kB", &available)
		}
		most = max(most, (total-available)>>10)
	}
	go func() {
		defer close(stopped)
		for ticks := time.Tick(time.Second); ; {
			look()
			select {
			case <-ticks:
			case <-stop:
				return
			}
		}
	}()
	return func() uint64 {
		close(stop)
		<-stopped
		return most
	}
}

func powerOff() {
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART) // QEMU ends rather than boot again
	select {}
}
