package scenarios

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// C8: datagrams of pods in fragments reach one backend, or the world, each whole,
// and so do the answers.
func TestFragmentsOfPods(t *testing.T) {
	t.Parallel()
	everyWay.Run(t, topo.Cluster(3), func(t *testing.T, lab *harness.Lab) {
		client, pod := lab.Host("client"), lab.Pod("client-on-node1")
		web := []*harness.Machine{lab.Pod("web-on-node1"), lab.Pod("web-on-node2"), lab.Pod("web-on-node3")}
		for _, w := range web {
			reverse(w.ListenPacket(t, 80))
		}
		reverse(client.ListenPacket(t, 53))
		service := lab.AddService(t, harness.ClusterIP(packet.UDPPort(8080), 80, web...))
		for _, c := range []struct {
			name string
			from *harness.Machine
			to   netip.AddrPort
		}{
			{"cluster address", pod, service.AddrPort()},
			{"masqueraded", pod, client.AddrPort(53)},
		} {
			t.Run(c.name, func(t *testing.T) {
				for i := range 8 { // flows, which go to several backends
					conn := c.from.Dial(t, "udp", c.to)
					for _, size := range []int{1500, 4000, 30_000} {
						question := bytes.Repeat([]byte(fmt.Sprintf("question %d ", i)), size)[:size]
						requireReversed(t, conn, question)
					}
					require.NoError(t, lab.Sync(t.Context())) // the next flow could outrun the capture
				}
			})
		}
	})
}

// reverse answers every datagram with its bytes in the opposite order.
func reverse(conn net.PacketConn) {
	go func() {
		for buf := make([]byte, 64<<10); ; {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			conn.WriteTo(reversed(buf[:n]), from)
		}
	}()
}

func reversed(b []byte) []byte {
	r := make([]byte, len(b))
	for i := range b {
		r[len(b)-1-i] = b[i]
	}
	return r
}

func requireReversed(t *testing.T, conn net.Conn, question []byte) {
	t.Helper()
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	_, err := conn.Write(question)
	require.NoError(t, err)
	answer := make([]byte, 64<<10)
	n, err := conn.Read(answer)
	require.NoError(t, err, "a datagram of %d bytes", len(question))
	require.True(t, bytes.Equal(reversed(question), answer[:n]), "a datagram of %d bytes was answered by %d others", len(question), n)
}
