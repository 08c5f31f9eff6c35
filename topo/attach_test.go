package topo_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/topo"
)

// What programs return (include/uapi/linux/bpf.h, include/uapi/linux/pkt_cls.h).
const (
	xdpDrop, xdpPass, xdpTX = 1, 2, 3
	tcNext, tcDrop          = -1, 2
)

// program loads one that returns a number for every packet.
func program(t testing.TB, kind ebpf.ProgramType, verdict int32) *ebpf.Program {
	t.Helper()
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type:         kind,
		License:      "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, verdict), asm.Return()},
	})
	require.NoError(t, err)
	t.Cleanup(func() { prog.Close() })
	return prog
}

func TestProgramsRunUntilDetached(t *testing.T) {
	t.Parallel()
	network := up(t, topo.Cluster(1))
	client, node := machine(t, network, "client"), machine(t, network, "node1")
	tape := capture(t, network)
	for _, test := range []struct {
		name       string
		attach     func() (*topo.Attachment, error)
		hook, mode string
		seen       []string // while it drops
	}{
		{"XDP in the driver", func() (*topo.Attachment, error) {
			return node.AttachXDP(program(t, ebpf.XDP, xdpDrop), "eth0", topo.XDPDriver)
		}, "xdp", "driver", []string{"client/eth0 out"}},
		{"XDP where it is best", func() (*topo.Attachment, error) {
			return node.AttachXDP(program(t, ebpf.XDP, xdpDrop), "eth0", topo.XDPBest)
		}, "xdp", "driver", []string{"client/eth0 out"}},
		{"generic XDP", func() (*topo.Attachment, error) {
			return node.AttachXDP(program(t, ebpf.XDP, xdpDrop), "eth0", topo.XDPGeneric)
		}, "xdp", "generic", []string{"client/eth0 out"}},
		{"TCX at ingress", func() (*topo.Attachment, error) {
			return node.AttachTC(program(t, ebpf.SchedCLS, tcDrop), "eth0", topo.In, topo.TCBest)
		}, "tc ingress", "tcx", []string{"client/eth0 out", "node1/eth0 in"}},
		{"clsact at ingress", func() (*topo.Attachment, error) {
			return node.AttachTC(program(t, ebpf.SchedCLS, tcDrop), "eth0", topo.In, topo.TCClsact)
		}, "tc ingress", "clsact", []string{"client/eth0 out", "node1/eth0 in"}},
		{"TCX at egress", func() (*topo.Attachment, error) {
			return client.AttachTC(program(t, ebpf.SchedCLS, tcDrop), "eth0", topo.Out, topo.TCX)
		}, "tc egress", "tcx", nil},
		{"clsact at egress", func() (*topo.Attachment, error) {
			return client.AttachTC(program(t, ebpf.SchedCLS, tcDrop), "eth0", topo.Out, topo.TCClsact)
		}, "tc egress", "clsact", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			attachment, err := test.attach()
			require.NoError(t, err)
			require.Equal(t, test.hook, attachment.Hook)
			require.Equal(t, test.mode, attachment.Mode)
			text := send(t, client, node.IPv4(), test.name)
			tape.expect(t, text, test.seen...)
			require.NoError(t, attachment.Close())
			require.NoError(t, attachment.Close(), "closing twice does no harm")
			exchange(t, listen(t, client, client.IPv4()), listen(t, node, node.IPv4()))
			tape.expect(t, text, test.seen...)
		})
	}
}

// A process that another goroutine is starting holds a copy of every descriptor until it execs: it must not hold a program.
func TestProgramsAreDetachedWhileProcessesStart(t *testing.T) {
	t.Parallel()
	network := up(t, topo.Cluster(1))
	client, node := machine(t, network, "client"), machine(t, network, "node1")
	attachment, err := node.AttachXDP(program(t, ebpf.XDP, xdpDrop), "eth0", topo.XDPDriver)
	require.NoError(t, err)
	copyLinks(t)
	require.NoError(t, attachment.Close())
	exchange(t, listen(t, client, client.IPv4()), listen(t, node, node.IPv4()))
}

// copyLinks holds a copy of every BPF link of this process for the length of a test, as a fork would.
func copyLinks(t testing.TB) {
	t.Helper()
	const folder = "/proc/self/fd"
	descriptors, err := os.ReadDir(folder)
	require.NoError(t, err)
	copied := 0
	for _, d := range descriptors {
		if what, _ := os.Readlink(filepath.Join(folder, d.Name())); what != "anon_inode:bpf_link" {
			continue
		}
		fd, err := strconv.Atoi(d.Name())
		require.NoError(t, err)
		held, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0) // what another test starts must not inherit it
		if err == nil {                                                  // unless another test has closed it since
			copied++
			t.Cleanup(func() { syscall.Close(held) })
		}
	}
	require.NotZero(t, copied)
}

func TestProgramsRunInTheOrderOfAttachment(t *testing.T) {
	t.Parallel()
	for _, mode := range []topo.TCMode{topo.TCX, topo.TCClsact} {
		network := up(t, topo.Cluster(1))
		client, node := machine(t, network, "client"), machine(t, network, "node1")
		first, err := node.AttachTC(program(t, ebpf.SchedCLS, tcNext), "eth0", topo.In, mode)
		require.NoError(t, err)
		second, err := node.AttachTC(program(t, ebpf.SchedCLS, tcDrop), "eth0", topo.In, mode)
		require.NoError(t, err)
		require.Equal(t, first.Mode, second.Mode)

		tape := capture(t, network)
		_, err = listen(t, client, client.IPv4()).WriteToUDPAddrPort([]byte("unanswered"), netip.AddrPortFrom(node.IPv4(), 9))
		require.NoError(t, err)
		const arp = "\x08\x06\x00\x01" // an answer would be the third
		tape.expect(t, arp, "client/eth0 out", "node1/eth0 in")
		require.NoError(t, second.Close())
		exchange(t, listen(t, client, client.IPv4()), listen(t, node, node.IPv4()))
		require.NoError(t, first.Close())
	}
}

// Frames that a node's XDP program sends back out are received: by the switch, or by the host at the other end of a cable.
func TestFramesSentByXDPAreReceived(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name         string
		topology     topo.Topology
		from, sentBy string
	}{
		{"by way of the switch", topo.Cluster(1), "client", "node1"},
		{"by a host on a cable", topo.Wire(), "tester", "lb"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			network := up(t, test.topology)
			from, by := machine(t, network, test.from), machine(t, network, test.sentBy)
			_, err := by.AttachXDP(bounce(t), "eth0", topo.XDPDriver)
			require.NoError(t, err)
			tape := capture(t, network)
			tape.expect(t, send(t, from, by.IPv4(), "there and back"), test.from+"/eth0 out", test.from+"/eth0 in")
		})
	}
}

// bounce loads a program that swaps the MACs of every frame and sends it back.
func bounce(t testing.TB) *ebpf.Program {
	t.Helper()
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type:    ebpf.XDP,
		License: "GPL",
		Instructions: asm.Instructions{
			asm.LoadMem(asm.R2, asm.R1, 0, asm.Word), // data
			asm.LoadMem(asm.R3, asm.R1, 4, asm.Word), // data_end
			asm.Mov.Reg(asm.R4, asm.R2),
			asm.Add.Imm(asm.R4, 14),
			asm.JGT.Reg(asm.R4, asm.R3, "pass"),
			// Six bytes each: four and two.
			asm.LoadMem(asm.R4, asm.R2, 0, asm.Word),
			asm.LoadMem(asm.R5, asm.R2, 6, asm.Word),
			asm.StoreMem(asm.R2, 0, asm.R5, asm.Word),
			asm.StoreMem(asm.R2, 6, asm.R4, asm.Word),
			asm.LoadMem(asm.R4, asm.R2, 4, asm.Half),
			asm.LoadMem(asm.R5, asm.R2, 10, asm.Half),
			asm.StoreMem(asm.R2, 4, asm.R5, asm.Half),
			asm.StoreMem(asm.R2, 10, asm.R4, asm.Half),
			asm.Mov.Imm(asm.R0, xdpTX),
			asm.Return(),
			asm.Mov.Imm(asm.R0, xdpPass).WithSymbol("pass"),
			asm.Return(),
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { prog.Close() })
	return prog
}

// What a node hands to a pod by bpf_redirect_peer is seen on the pod's eth0, and not on the node's device of that pod.
func TestCaptureSeesWhatIsRedirectedToThePeer(t *testing.T) {
	t.Parallel()
	network := up(t, topo.Cluster(1))
	node := machine(t, network, "node1")
	web, err := node.Device("lxc-web")
	require.NoError(t, err)
	redirect, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type:    ebpf.SchedCLS,
		License: "GPL",
		Instructions: asm.Instructions{
			asm.Mov.Imm(asm.R1, int32(web.Index)),
			asm.Mov.Imm(asm.R2, 0),
			asm.FnRedirectPeer.Call(),
			asm.Return(),
		},
	})
	require.NoError(t, err)
	defer redirect.Close()
	_, err = node.AttachTC(redirect, "lxc-client", topo.In, topo.TCBest)
	require.NoError(t, err)

	tape := capture(t, network)
	text := send(t, machine(t, network, "client-on-node1"), topo.NodeIPv4(1), "to the peer")
	tape.expect(t, text, "client-on-node1/eth0 out", "node1/lxc-client in", "web-on-node1/eth0 in")
}

func TestAttachWrongly(t *testing.T) {
	t.Parallel()
	node := machine(t, up(t, topo.Cluster(1)), "node1")
	_, err := node.AttachXDP(program(t, ebpf.XDP, xdpPass), "eth7", topo.XDPDriver)
	require.ErrorContains(t, err, `node1 has no device "eth7"`)
	_, err = node.AttachTC(program(t, ebpf.XDP, xdpPass), "eth0", topo.In, topo.TCX)
	require.EqualError(t, err, "topo: node1/eth0 tc ingress takes programs of type SchedCLS, and this one is of type XDP: see its SEC()")
	_, err = node.AttachXDP(program(t, ebpf.SchedCLS, tcNext), "eth0", topo.XDPBest)
	require.ErrorContains(t, err, "node1/eth0 xdp takes programs of type XDP, and this one is of type SchedCLS")
	_, err = node.AttachXDP(program(t, ebpf.XDP, xdpPass), "eth0", topo.XDPDriver)
	require.NoError(t, err)
	_, err = node.AttachXDP(program(t, ebpf.XDP, xdpPass), "eth0", topo.XDPDriver)
	require.ErrorContains(t, err, "attaching a program to node1/eth0 xdp (driver): ")
	require.ErrorContains(t, err, "another program is there already, and the hook takes one")
}
