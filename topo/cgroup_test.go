package topo_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness/socket"
	"github.com/skbench/skbench/topo"
)

// needCgroups returns the folder where folders can be made.
func needCgroups(t testing.TB) string {
	t.Helper()
	root, err := topo.CgroupRoot()
	if err != nil {
		t.Skip(err)
	}
	return root
}

// sockets starts a process that opens sockets on a machine.
func sockets(t testing.TB, m *topo.Machine) *socket.Process {
	t.Helper()
	p, err := socket.Start(m.Name(), m.Start)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

func TestProcessesStandInTheirMachinesCgroup(t *testing.T) {
	t.Parallel()
	needCgroups(t)
	network, err := topo.Up(context.Background(), topo.Cluster(1))
	require.NoError(t, err)
	defer network.Close()
	for name, below := range map[string]string{
		"web-on-node1": "/node-node1/pod-web-on-node1",
		"node1":        "/node-node1",
		"client":       "/host-client",
	} {
		m := machine(t, network, name)
		folder, err := m.Cgroup()
		require.NoError(t, err)
		require.DirExists(t, folder)
		require.Regexp(t, fmt.Sprintf(`/skbench-%d-\d+%s$`, os.Getpid(), below), folder)
		mine := "0::/" + strings.TrimPrefix(folder, needCgroups(t)+"/")
		require.Contains(t, strings.Split(run(t, m, "cat", "/proc/self/cgroup"), "\n"), mine)
	}
	top, err := machine(t, network, "client").Cgroup()
	require.NoError(t, err)
	require.NoError(t, network.Close())
	require.NoDirExists(t, filepath.Dir(top))
}

// A program on a node's control group acts on the sockets of the node and its pods, and on no other's.
func TestProgramActsOnTheSocketsOfANode(t *testing.T) {
	t.Parallel()
	needCgroups(t)
	network := up(t, topo.Cluster(2))
	deny, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.CGroupSockAddr, AttachType: ebpf.AttachCGroupInet4Connect, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	require.NoError(t, err)
	t.Cleanup(func() { deny.Close() })
	early := sockets(t, machine(t, network, "web-on-node1"))
	a, err := machine(t, network, "node1").AttachCgroup(deny, ebpf.AttachCGroupInet4Connect)
	require.NoError(t, err)
	require.Equal(t, "node1/cgroup", a.Device.String())
	require.Equal(t, "CGroupInet4Connect", a.Hook)

	connect := func(p *socket.Process) error {
		conn, err := p.Dial(t.Context(), "udp4", "172.16.0.1:9")
		if err == nil {
			conn.Close()
		}
		return err
	}
	denied := map[string]*socket.Process{
		"of a pod since before": early,
		"of a pod":              sockets(t, machine(t, network, "client-on-node1")),
		"of the node":           sockets(t, machine(t, network, "node1")),
	}
	for who, p := range denied {
		require.ErrorIs(t, connect(p), syscall.EPERM, "a process %s", who)
	}
	require.NoError(t, connect(sockets(t, machine(t, network, "web-on-node2"))), "a pod of another node")
	require.NoError(t, connect(sockets(t, machine(t, network, "client"))), "a host")

	require.NoError(t, a.Close())
	for who, p := range denied {
		require.NoError(t, connect(p), "a process %s, after the program was detached", who)
	}
}

// What a dead process left goes with the next one's first folder; the folders of those who live stay.
func TestStaleCgroupsAreRemoved(t *testing.T) {
	t.Parallel()
	root := needCgroups(t)
	network := up(t, topo.Cluster(1))
	alive, err := machine(t, network, "web-on-node1").Cgroup()
	require.NoError(t, err)

	var stale string
	var lock *os.File // until a process is in it: other test binaries remove what is stale, too
	for lock == nil {
		stale, err = os.MkdirTemp(root, "skbench-1-")
		require.NoError(t, err)
		lock, err = topo.LockCgroup(stale)
		require.NoError(t, err)
	}
	defer lock.Close()
	pod := filepath.Join(stale, "node-node1", "pod-web")
	require.NoError(t, os.MkdirAll(pod, 0o755))
	folder, err := os.Open(pod)
	require.NoError(t, err)
	defer folder.Close()
	survivor := exec.Command("cat")
	end, err := survivor.StdinPipe()
	require.NoError(t, err)
	survivor.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(folder.Fd())}
	require.NoError(t, survivor.Start())
	require.NoError(t, lock.Close())

	require.NoError(t, topo.RemoveStaleCgroups())
	require.DirExists(t, pod, "a process is in it")
	require.NoError(t, end.Close())
	require.NoError(t, survivor.Wait())
	require.Eventually(t, func() bool { // the process leaves it some time after its end
		require.NoError(t, topo.RemoveStaleCgroups())
		_, err := os.Stat(stale)
		return os.IsNotExist(err)
	}, patience, time.Millisecond)
	require.DirExists(t, alive)
}

func TestCloseWaitsForProcessesThatEnd(t *testing.T) {
	needCgroups(t) // not in parallel: patience is everybody's
	network, err := topo.Up(context.Background(), topo.Cluster(1))
	require.NoError(t, err)
	m := machine(t, network, "web-on-node1")
	folder, err := m.Cgroup()
	require.NoError(t, err)
	read, write, err := os.Pipe()
	require.NoError(t, err)
	defer read.Close()
	cmd := exec.Command("cat")
	cmd.Stdin = read
	require.NoError(t, m.Start(cmd))

	topo.SetCgroupPatience(t, time.Millisecond)
	require.ErrorContains(t, network.Close(), "a process that was started there still runs: end it")
	topo.SetCgroupPatience(t, patience)
	ended := make(chan error, 1)
	go func() { ended <- network.Close() }()
	require.NoError(t, write.Close())
	require.NoError(t, <-ended)
	require.NoDirExists(t, folder)
	require.NoError(t, cmd.Wait())
}

// Where the machine has no cgroup2, processes are started all the same.
func TestMachineWithoutCgroups(t *testing.T) {
	const inside = "TOPO_TEST_WITHOUT_CGROUPS"
	if os.Getenv(inside) == "" {
		t.Parallel()
		root := needCgroups(t)
		// A mount namespace of its own, from which the hierarchy is taken away.
		cmd := exec.Command("sh", "-c", `umount -l "$1" && exec "$2" -test.v -test.run "^$3$"`, "sh", root, "/proc/self/exe", t.Name())
		cmd.Args[5], _ = os.Executable()
		cmd.Env = append(os.Environ(), inside+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "--- PASS: "+t.Name())
		return
	}
	network := up(t, topo.Cluster(1))
	m := machine(t, network, "web-on-node1")
	_, err := m.Cgroup()
	require.EqualError(t, err, "topo: the control group of web-on-node1: no control groups: no cgroup2 is mounted")
	_, err = m.AttachCgroup(nil, ebpf.AttachCGroupInet4Connect)
	require.ErrorContains(t, err, "no cgroup2 is mounted")
	require.NoError(t, topo.RemoveStaleCgroups())
	require.Equal(t, "hello\n", run(t, m, "echo", "hello"))
}

func TestCgroupRoot(t *testing.T) {
	t.Parallel()
	writable := t.TempDir()
	for _, test := range []struct{ name, mounts, root, why string }{
		{"none", "proc /proc proc rw 0 0\n", "", "no control groups: no cgroup2 is mounted"},
		{"beside version 1", "cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\ncgroup2 " + writable + " cgroup2 rw 0 0\n", writable, ""},
		{"not writable", "cgroup2 /nowhere cgroup2 ro 0 0\n", "", "no control groups: no folder can be made in /nowhere: no such file or directory"},
		{"the second is writable", "cgroup2 /nowhere cgroup2 ro 0 0\nnone " + writable + " cgroup2 rw 0 0\n", writable, ""},
		{"a line cut short", "cgroup2\n", "", "no control groups: no cgroup2 is mounted"},
	} {
		t.Run(test.name, func(t *testing.T) {
			root, err := topo.FindCgroupRoot(io.Reader(strings.NewReader(test.mounts)))
			require.Equal(t, test.root, root)
			if test.why == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, test.why)
			}
		})
	}
}
