package topo

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// onThread runs f on a thread of its own that ends with f, whatever f does to it.
func onThread(f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if unix.Gettid() == os.Getpid() {
			// The main thread cannot end, and its namespace is the one that /proc/PID/ns shows. While it is held here, f is sure
			// to get another.
			result <- onThread(f)
			runtime.UnlockOSThread()
			return
		}
		err := errors.New("topo: what was to run in a namespace ended its goroutine: return an error instead (no t.FailNow)")
		defer func() { result <- err }()
		err = f()
	}()
	return <-result
}

// inNamespace runs f on a thread of its own inside a network namespace.
func inNamespace(ns netns.NsHandle, f func() error) error {
	return onThread(func() error {
		if err := netns.Set(ns); err != nil {
			return fmt.Errorf("entering a network namespace: %w", err)
		}
		return f()
	})
}

// A sysctl of a network namespace: its path below /proc/sys, and its value.
type sysctl struct{ path, value string }

// set writes the sysctl of the namespace that the calling thread is in.
func (s sysctl) set() error {
	f, err := os.OpenFile("/proc/sys/"+s.path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(s.value)
	return err
}

// sysctlPath turns a name as sysctl(8) takes it into a path below /proc/sys.
func sysctlPath(key string) string {
	if strings.Contains(key, "/") {
		return key
	}
	return strings.ReplaceAll(key, ".", "/")
}

// quiet are the sysctls of every machine. They are inherited by devices made later.
var quiet = []sysctl{
	// Packets may come from where no route leads back to, as with direct server return.
	{"net/ipv4/conf/all/rp_filter", "0"},
	{"net/ipv4/conf/default/rp_filter", "0"},
	// A packet that leaves by the device it came in by is no mistake to be told about.
	{"net/ipv4/conf/all/send_redirects", "0"},
	{"net/ipv4/conf/default/send_redirects", "0"},
	{"net/ipv4/conf/all/accept_redirects", "0"},
	{"net/ipv4/conf/default/accept_redirects", "0"},
	{"net/ipv6/conf/default/accept_redirects", "0"},
	// All addresses are given: none is made up (mode 1 is none) or asked routers for.
	{"net/ipv6/conf/default/addr_gen_mode", "1"},
	{"net/ipv6/conf/default/accept_ra", "0"},
	// A kernel tells routers twice of each multicast group it joins, which every IPv6 address brings. In version 1 the first
	// report goes out while joining, so before Up is done; the second at random within this many milliseconds: in days.
	{"net/ipv6/conf/all/force_mld_version", "1"},
	{"net/ipv6/conf/default/mldv1_unsolicited_report_interval", "2147483647"},
}

// forwarding are the sysctls of a router, ip_forward first: it resets others.
var forwarding = []sysctl{
	{"net/ipv4/ip_forward", "1"},
	{"net/ipv6/conf/all/forwarding", "1"},
	// 1 is "layer 4": which of several next hops a flow takes follows from addresses, protocol and ports.
	{"net/ipv4/fib_multipath_hash_policy", "1"},
	{"net/ipv6/fib_multipath_hash_policy", "1"},
	// Every packet that deserves an ICMP error gets one, not just the first few in a second to each destination.
	{"net/ipv4/icmp_ratelimit", "0"},
	{"net/ipv6/icmp/ratelimit", "0"},
}

// sysctls returns what is set in the fresh namespace of the machine, in order.
func (m *Machine) sysctls() []sysctl {
	switch {
	case m.forwards:
		return slices.Concat(forwarding, quiet)
	case m.kind == kindSwitch:
		return []sysctl{
			{"net/ipv6/conf/default/disable_ipv6", "1"},
			// A switch looks at no IP header, and drops no packet for a bad one.
			{"net/bridge/bridge-nf-call-iptables", "0"},
			{"net/bridge/bridge-nf-call-ip6tables", "0"},
			{"net/bridge/bridge-nf-call-arptables", "0"},
		}
	}
	return quiet
}

// newNamespace takes the calling thread into a new network namespace for the machine, and sets it up.
func newNamespace(m *Machine) (netns.NsHandle, *rtnl, error) {
	ns, err := netns.New()
	if err != nil {
		return netns.None(), nil, fmt.Errorf("making a network namespace: %w", err)
	}
	for _, s := range m.sysctls() {
		optional := m.kind == kindSwitch && strings.HasPrefix(s.path, "net/bridge/") // only there with br_netfilter
		if err := s.set(); err != nil && !(optional && errors.Is(err, os.ErrNotExist)) {
			return ns, nil, err
		}
	}
	conn, err := newRTNL()
	return ns, conn, err
}
