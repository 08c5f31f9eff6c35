package feature

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/topo"
)

// tool declares a command, the Debian package that has it, and what skbench wants it for.
func tool(command, debianPackage, purpose string) *Feature {
	return declare(Feature{Name: command, Kind: Tool, Mend: install(debianPackage) + " " + purpose, probe: func() error {
		if _, err := exec.LookPath(command); err != nil {
			return no("no such command")
		}
		return nil
	}})
}

func install(debianPackage string) string { return "apt-get install " + debianPackage }

// datapath declares a datapath: it can run when all that it needs is there.
func datapath(name string, needs ...*Feature) *Feature {
	return declare(Feature{Name: name, Kind: Datapath, probe: func() error {
		for _, need := range needs {
			if found := need.Check(); found.State != Yes {
				return unmet(found)
			}
		}
		return nil
	}})
}

// eitherOf is a need that any of several features fills. It is not in the table.
func eitherOf(features ...*Feature) *Feature {
	var names []string
	for _, f := range features {
		names = append(names, f.Name)
	}
	either := &Feature{Name: strings.Join(names, " or ")}
	either.find = func() Finding {
		worst := Finding{Name: either.Name}
		for _, f := range features {
			found := f.Check()
			if found.State == Yes {
				return found
			}
			if worst.State != Inconclusive {
				worst.State, worst.Reason, worst.Mend = found.State, found.Reason, found.Mend
			}
		}
		return worst
	}
	return either
}

// unmet is the error of a need that is not filled.
func unmet(found Finding) error {
	text := found.unmet()
	if found.State == No {
		return no(text)
	}
	return fmt.Errorf("%s", text)
}

func exists(name string) func() error {
	return func() error {
		if _, err := os.Stat(name); err != nil {
			return nof("there is no %s", name)
		}
		return nil
	}
}

// mounted looks for a file system of a type, wherever it is mounted.
func mounted(fstype string) func() error {
	return func() error {
		text, err := os.ReadFile("/proc/mounts")
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			if fields := strings.Fields(line); len(fields) > 2 && fields[2] == fstype {
				return nil
			}
		}
		return nof("no %s is mounted", fstype)
	}
}

// cgroupFolders looks for the place where networks put their control groups.
func cgroupFolders() error {
	if _, err := topo.CgroupRoot(); err != nil {
		return no(err.Error())
	}
	return nil
}

func netnsCookie() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	return asNo(err, unix.ENOPROTOOPT)
}

// jitIsOn reads the switch, which only the machine's own namespace shows.
func jitIsOn() error {
	text, err := os.ReadFile("/proc/sys/net/core/bpf_jit_enable")
	if err != nil {
		return err
	}
	if strings.TrimSpace(string(text)) == "0" {
		return no("switched off: BPF programs are interpreted, and several times slower")
	}
	return nil
}

func packetSocket() error { return socket(unix.AF_PACKET) }

func xdpSocket() error { return socket(unix.AF_XDP) }

func socket(family int) error {
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return asNo(err, unix.EAFNOSUPPORT)
	}
	return unix.Close(fd)
}

// hardwareCounter opens a counter of CPU cycles for this process.
func hardwareCounter() error {
	event := unix.PerfEventAttr{Type: unix.PERF_TYPE_HARDWARE, Config: unix.PERF_COUNT_HW_CPU_CYCLES, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{}))}
	fd, err := unix.PerfEventOpen(&event, 0, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return asNo(err, unix.ENOENT, unix.EOPNOTSUPP, unix.ENOSYS, unix.ENODEV)
	}
	return unix.Close(fd)
}
