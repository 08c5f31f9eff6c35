package feature

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// inNamespace runs f in a new network namespace, which ends with it. Whoever asks why no lab comes up must not need a lab for the answer, so
// this package makes its namespaces itself.
func inNamespace(f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // Never unlocked: the thread ends with the goroutine, and the namespace with the thread.
		if unix.Gettid() == unix.Getpid() {
			// The main thread does not end with its goroutine. It is held here, so that f gets another.
			defer runtime.UnlockOSThread()
			result <- inNamespace(f)
			return
		}
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			result <- asNo(fmt.Errorf("make a network namespace: %w", err), unix.EINVAL, unix.ENOSYS)
			return
		}
		result <- f()
	}()
	return <-result
}

// device declares a kind of network device, under the kernel's name for it.
func device(kind, since, config string) *Feature {
	return declare(Feature{Name: kind, Kind: Device, Since: mustParse(since), Config: []string{config}, probe: func() error {
		return inNamespace(func() error { return addDevice(kind) })
	}})
}

// qdisc tries a kind of queueing discipline.
func qdisc(kind string) func() error {
	return onVeth(func(dev int) error { return addQdisc(dev, kind, atRoot) })
}

// onVeth runs f in a new namespace that has a veth pair, with the index of one end.
func onVeth(f func(dev int) error) func() error {
	return func() error {
		return inNamespace(func() error {
			if err := addDevice("veth"); err != nil {
				return err
			}
			dev, err := net.InterfaceByName("veth0") // The kernel named the two ends.
			if err != nil {
				return err
			}
			return f(dev.Index)
		})
	}
}

func attachXDP(mode link.XDPAttachFlags) func() error {
	return onVeth(func(dev int) error {
		return attach(xdpProgram(xdpPass), func(prog *ebpf.Program) (link.Link, error) {
			return link.AttachXDP(link.XDPOptions{Program: prog, Interface: dev, Flags: mode})
		})
	})
}

var attachTCX = onVeth(func(dev int) error {
	return attach(tcProgram(), func(prog *ebpf.Program) (link.Link, error) {
		return link.AttachTCX(link.TCXOptions{Program: prog, Interface: dev, Attach: ebpf.AttachTCXIngress})
	})
})

var attachClsact = onVeth(func(dev int) error {
	if err := addQdisc(dev, "clsact", atClsact); err != nil {
		return err
	}
	prog, err := load(tcProgram())
	if err != nil {
		return err
	}
	defer prog.Close()
	return addFilter(dev, prog.FD())
})

// attach loads a program, attaches it and lets go of both.
func attach(spec *ebpf.ProgramSpec, to func(*ebpf.Program) (link.Link, error)) error {
	prog, err := load(spec)
	if err != nil {
		return err
	}
	defer prog.Close()
	attached, err := to(prog)
	if err != nil {
		return asNo(err, unix.EINVAL, unix.EOPNOTSUPP)
	}
	return attached.Close()
}

// inNamespaceRun runs a command in a new namespace, with a text as its input.
func inNamespaceRun(input, command string, args ...string) func() error {
	return func() error {
		if _, err := exec.LookPath(command); err != nil {
			return nof("no command %s", command)
		}
		lock, err := unix.MemfdCreate("lock", unix.MFD_CLOEXEC)
		if err != nil {
			return err
		}
		file := os.NewFile(uintptr(lock), "lock")
		defer file.Close()
		return inNamespace(func() error {
			cmd := exec.Command(command, args...)
			cmd.Stdin = strings.NewReader(input)
			cmd.ExtraFiles = []*os.File{file} // descriptor 3
			// Not the machine's own lock, which others may hold, and none that a file system keeps.
			cmd.Env = append(os.Environ(), "XTABLES_LOCKFILE=/proc/self/fd/3")
			said, err := cmd.CombinedOutput()
			if _, exited := errors.AsType[*exec.ExitError](err); exited {
				return nof("%s: %v: %s", command, err, strings.Join(strings.Fields(string(said)), " "))
			}
			return err
		})
	}
}

// kubeProxyLike is a rule set with every table, match and target that the iptables datapath and the counting of netfilter's steps use.
func kubeProxyLike(backend string) string {
	return `*raw
-A PREROUTING -j NFLOG --nflog-group 1 --nflog-prefix "raw PREROUTING"
COMMIT
*mangle
-A FORWARD -j NFLOG --nflog-group 1
COMMIT
*nat
:BACKEND - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -p tcp -m tcp --dport 30080 -m statistic --mode random --probability 0.5 -j BACKEND
-A BACKEND -m comment --comment mark -j MARK --or-mark 0x4000
-A BACKEND -p tcp -j DNAT --to-destination ` + backend + `:80
-A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE --random-fully
COMMIT
*filter
-A FORWARD -m conntrack --ctstate INVALID -j DROP
-A FORWARD -p udp --dport 53 -j REJECT
COMMIT
`
}
