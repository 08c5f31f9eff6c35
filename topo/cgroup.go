package topo

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Control groups of version 2. A network has a folder of its own in the machine's hierarchy, in that one for every node and
// host, and in a node's one for each of its pods:
//
//	skbench-4711-1234567890/node-node1/pod-web-on-node1
//	skbench-4711-1234567890/host-client
//
// so what is attached to a node's folder acts on the sockets of the node and of its pods. Folders are made when they are
// first needed, below the mount's root, whose own settings are left alone.
//
// The kernel does not remove folders when a process dies. The network's folder is locked (flock) as long as its network is
// up, and a lock goes with the process: what is not locked was left behind, and whoever makes the next folder removes it.

// cgroupPattern is what the folders of networks are called, whichever process made them: skbench, its PID, a random number.
const cgroupPattern = "skbench-[0-9]*-[0-9]*"

// errNoCgroups: this machine lets nobody make control groups.
var errNoCgroups = errors.New("no control groups")

// cgroups are those of a network.
type cgroups struct {
	mu   sync.Mutex
	top  *os.File // the network's folder, locked; nil until it is needed
	made []string // all folders, each after the one that it lies in
}

// CgroupRoot returns the folder in which networks make theirs: where the machine has cgroup2 mounted, and root may write.
func CgroupRoot() (string, error) {
	mounts, err := os.Open("/proc/self/mounts")
	if err != nil {
		return "", err
	}
	defer mounts.Close()
	return findCgroupRoot(mounts)
}

// findCgroupRoot reads the lines of mounts: source, mount point, type and more (fstab(5)).
func findCgroupRoot(mounts io.Reader) (string, error) {
	why := errors.New("no cgroup2 is mounted")
	for lines := bufio.NewScanner(mounts); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 3 || fields[2] != "cgroup2" {
			continue
		}
		err := unix.Access(fields[1], unix.W_OK)
		if err == nil {
			return fields[1], nil
		}
		why = fmt.Errorf("no folder can be made in %s: %w", fields[1], err)
	}
	return "", fmt.Errorf("%w: %w", errNoCgroups, why)
}

// Cgroup returns the folder of the machine's control group, in which Start starts its processes. A node's holds those of
// its pods.
func (m *Machine) Cgroup() (string, error) {
	folder, err := m.network.cgroups.of(m)
	if err != nil {
		return "", fmt.Errorf("topo: the control group of %s: %w", m.name, err)
	}
	return folder, nil
}

// AttachCgroup attaches a program to the machine's control group: on a node, to the sockets that the node and its pods make
// by Start's processes, now and later. place is one of the AttachCGroup constants, and Attachment.Hook its name.
func (m *Machine) AttachCgroup(prog *ebpf.Program, place ebpf.AttachType) (*Attachment, error) {
	path, err := m.Cgroup()
	if err != nil {
		return nil, err
	}
	return m.attach(Device{Machine: m.name, Name: "cgroup"}, place.String(), way{"link", func() (func() error, error) {
		folder, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer folder.Close()
		l, err := link.AttachRawLink(link.RawLinkOptions{Target: int(folder.Fd()), Program: prog, Attach: place})
		if err != nil {
			return nil, err
		}
		return unlink(l), nil
	}})
}

// startInCgroup starts cmd in the machine's control group from its first moment on; where this machine has none for us, in
// that of its parent.
func (m *Machine) startInCgroup(cmd *exec.Cmd) error {
	path, err := m.Cgroup()
	if errors.Is(err, errNoCgroups) {
		return cmd.Start()
	}
	if err != nil {
		return err
	}
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	defer folder.Close()
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(folder.Fd())
	return cmd.Start()
}

// of returns the folder of a machine, and makes it and those around it where they are missing.
func (c *cgroups) of(m *Machine) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.top == nil {
		if err := c.open(); err != nil {
			return "", err
		}
	}
	folder := c.top.Name()
	if m.kind == KindPod {
		folder = filepath.Join(folder, m.node.cgroupName())
		if err := c.make(folder); err != nil {
			return "", err
		}
	}
	folder = filepath.Join(folder, m.cgroupName())
	return folder, c.make(folder)
}

// cgroupName cannot be that of a file which the kernel puts into every folder, such as cgroup.procs.
func (m *Machine) cgroupName() string { return fmt.Sprintf("%s-%s", m.kind, m.name) }

func (c *cgroups) make(folder string) error {
	err := os.Mkdir(folder, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil {
		c.made = append(c.made, folder)
	}
	return err
}

// removeStale runs once in a process.
var removeStale = sync.OnceValue(RemoveStaleCgroups)

// open makes the network's folder and locks it.
func (c *cgroups) open() error {
	root, err := CgroupRoot()
	if err != nil {
		return err
	}
	if err := removeStale(); err != nil {
		return err
	}
	for c.top == nil { // again when another process took the folder for a stale one before it was locked
		folder, err := os.MkdirTemp(root, fmt.Sprintf("skbench-%d-", os.Getpid()))
		if err != nil {
			return err
		}
		if c.top, err = lockCgroup(folder); err != nil {
			return err
		}
	}
	c.made = []string{c.top.Name()}
	return nil
}

// lockCgroup locks a folder until the file that it returns is closed, or the process ends; nil: another process has the
// lock, or has removed the folder.
func lockCgroup(folder string) (*os.File, error) {
	f, err := os.Open(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		if _, err = os.Stat(folder); err == nil {
			return f, nil
		}
	}
	f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return nil, fmt.Errorf("lock %s: %w", folder, err)
}

// close removes all folders, once the last process in them has ended.
func (c *cgroups) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.top == nil {
		return nil
	}
	var errs []error
	deadline := time.Now().Add(cgroupPatience) // of all: who stays in one keeps those around it, too
	for i := len(c.made) - 1; i >= 0; i-- {
		errs = append(errs, removeCgroup(c.made[i], deadline))
	}
	if err := errors.Join(errs...); err != nil {
		return err // the folder stays locked, for another try
	}
	err := c.top.Close()
	c.top, c.made = nil, nil
	return err
}

// cgroupPatience is how long an ended process may still stand in its folder. Since 6.19 it leaves a moment after its parent
// was told.
var cgroupPatience = Patience(2 * time.Second)

// removeCgroup removes a folder that holds no others. While processes are in it, it waits for them to leave.
func removeCgroup(folder string, deadline time.Time) error {
	events, err := os.Open(filepath.Join(folder, "cgroup.events"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer events.Close()
	for {
		// POLLPRI says that the file has changed since it was read.
		if _, err := events.ReadAt(make([]byte, 1), 0); err != nil {
			return err
		}
		err := unix.Rmdir(folder)
		if !errors.Is(err, unix.EBUSY) {
			return err
		}
		wait := time.Until(deadline)
		if wait <= 0 {
			return fmt.Errorf("topo: removing %s: a process that was started there still runs: end it before the network is closed", folder)
		}
		fds := []unix.PollFd{{Fd: int32(events.Fd()), Events: unix.POLLPRI}}
		if _, err := unix.Poll(fds, int(wait.Milliseconds())+1); err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// RemoveStaleCgroups removes the folders of networks whose process has died without closing them. Where processes of such a
// network still run, theirs stay for the next time. Networks do this by themselves before they make folders of their own.
func RemoveStaleCgroups() error {
	root, err := CgroupRoot()
	if errors.Is(err, errNoCgroups) {
		return nil
	}
	if err != nil {
		return err
	}
	stale, err := filepath.Glob(filepath.Join(root, cgroupPattern))
	if err != nil {
		return err
	}
	for _, folder := range stale {
		lock, err := lockCgroup(folder)
		if err != nil {
			return err
		}
		if lock == nil {
			continue
		}
		err = removeTree(folder)
		lock.Close()
		if err != nil {
			return fmt.Errorf("topo: remove what a dead process left: %w", err)
		}
	}
	return nil
}

// removeTree removes a folder with all that are in it, but for those with processes.
func removeTree(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeTree(filepath.Join(folder, e.Name())); err != nil {
				return err
			}
		}
	}
	err = unix.Rmdir(folder)
	if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", folder, err)
	}
	return nil
}
