package topo_test

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// A stream crosses the network in frames as a wire would carry them: none longer than the MTU, each with its checksums right.
// That nodes run XDP, or that GRO is on, makes no difference.
func TestFramesAreThoseOfAWire(t *testing.T) {
	t.Parallel()
	cluster, wire := up(t, topo.Cluster(2)), up(t, topo.Wire())
	for _, node := range []string{"node1", "node2"} {
		_, err := machine(t, cluster, node).AttachXDP(program(t, ebpf.XDP, xdpPass), topo.NIC, topo.XDPDriver)
		require.NoError(t, err)
	}
	framesOfAWire(t, cluster, "client-on-node1", "web-on-node2")
	framesOfAWire(t, wire, "tester", "lb")
}

func framesOfAWire(t *testing.T, network *topo.Network, from, to string) {
	for _, family := range families {
		tape := capture(t, network)
		stream(t, machine(t, network, from), machine(t, network, to), family, 1<<20)
		frames := tape.seen(t, "")
		require.Greater(t, len(frames), 1000)
		for _, f := range frames {
			require.LessOrEqual(t, f.Len, 1514, f.Device)
			p, err := packet.Decode(f.Data)
			require.NoError(t, err)
			require.NoError(t, packet.VerifyChecksums(p), "%s %s: %s", f.Device, f.Direction, p)
		}
		require.Zero(t, tape.Lost())
		require.NoError(t, tape.Close())
	}
}

// stream sends bytes by TCP from one machine to another.
func stream(t testing.TB, from, to *topo.Machine, family topo.Family, size int) {
	t.Helper()
	var listener net.Listener
	require.NoError(t, to.Do(func() (err error) {
		listener, err = net.Listen("tcp", netip.AddrPortFrom(ip(to, family), 0).String())
		return err
	}))
	defer listener.Close()
	var conn net.Conn
	require.NoError(t, from.Do(func() (err error) {
		conn, err = net.Dial("tcp", listener.Addr().String())
		return err
	}))
	sent := bytes.Repeat([]byte("skbench "), size/8)
	go func() {
		defer conn.Close()
		_, _ = conn.Write(sent)
	}()
	accepted, err := listener.Accept()
	require.NoError(t, err)
	defer accepted.Close()
	received, err := io.ReadAll(accepted)
	require.NoError(t, err)
	require.Len(t, received, len(sent))
}
