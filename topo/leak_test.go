package topo_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/topo"
)

// descriptors returns what the process has open.
func descriptors(t testing.TB) (open []string) {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	require.NoError(t, err)
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil {
			open = append(open, target)
		}
	}
	return open
}

// foreign returns how many threads of the process are in another namespace than the test.
func foreign() (threads int) {
	home, _ := os.Readlink("/proc/thread-self/ns/net")
	links, _ := filepath.Glob("/proc/self/task/*/ns/net")
	for _, link := range links {
		if at, err := os.Readlink(link); err == nil && at != home {
			threads++
		}
	}
	return threads
}

// These count what the whole process has, so they do not run in parallel.

func TestCloseLeavesNothing(t *testing.T) {
	tc, xdp := program(t, ebpf.SchedCLS, tcNext), program(t, ebpf.XDP, xdpPass)
	everything := func() {
		network, err := topo.Up(context.Background(), topo.Example())
		require.NoError(t, err)
		_, err = network.Capture(func(topo.Frame) {})
		require.NoError(t, err)
		require.NoError(t, network.Mute())
		for _, mode := range []topo.TCMode{topo.TCX, topo.TCClsact} {
			_, err = machine(t, network, "worker1").AttachTC(tc, "eth0", topo.In, mode)
			require.NoError(t, err)
		}
		_, err = machine(t, network, "worker1").AttachXDP(xdp, "eth0", topo.XDPDriver)
		require.NoError(t, err)
		send(t, machine(t, network, "client"), machine(t, network, "worker1").IPv4(), "hello")
		require.NoError(t, network.Close())
		require.NoError(t, network.Close(), "closing twice does no harm")
	}
	everything() // what the runtime and the libraries open once stays
	before := descriptors(t)
	for range 3 {
		everything()
	}
	require.ElementsMatch(t, before, descriptors(t))
	require.Eventually(t, func() bool { return foreign() == 0 }, patience, time.Millisecond, "threads are left in namespaces")
}

// A descriptor's number is given again at once: who closes it a second time closes what is somebody else's.
func TestClosingTwiceClosesNothingOfOthers(t *testing.T) {
	network, err := topo.UpIsland(context.Background(), topo.Island{Devices: []topo.IslandDevice{{Name: "nic0"}}, Traffic: true})
	require.NoError(t, err)
	require.NoError(t, network.Drain())
	require.NoError(t, network.Close())
	var others []*os.File
	for range 64 { // one at least has a number that was the network's
		other, err := os.Open(os.DevNull)
		require.NoError(t, err)
		defer other.Close()
		others = append(others, other)
	}
	require.NoError(t, network.Close())
	for _, other := range others {
		_, err := other.Stat()
		require.NoError(t, err)
	}
}

func TestUpThatFailsLeavesNothing(t *testing.T) {
	up(t, topo.Example())
	before := descriptors(t)
	for _, after := range []time.Duration{0, 5 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(context.Background(), after)
		_, err := topo.Up(ctx, topo.Cluster(30))
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ElementsMatch(t, before, descriptors(t))
	}
	require.Eventually(t, func() bool { return foreign() == 0 }, patience, time.Millisecond, "threads are left in namespaces")
}

func TestSocketsThatCannotBeBoundAreClosed(t *testing.T) {
	node := machine(t, up(t, topo.Cluster(1)), "node1")
	before := descriptors(t)
	_, err := topo.ListenOn(node, 4711)
	require.ErrorIs(t, err, unix.ENODEV)
	require.ElementsMatch(t, before, descriptors(t))
}

func TestUpNeedsRoot(t *testing.T) {
	result := make(chan error)
	go func() {
		// The thread alone gives up root, and ends with the goroutine.
		runtime.LockOSThread()
		_, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), 65534, ^uintptr(0))
		if errno != 0 {
			result <- errno
			return
		}
		_, err := topo.Up(context.Background(), topo.Example())
		result <- err
	}()
	require.EqualError(t, <-result, "topo: bringing up a network needs root: run with sudo")
}
