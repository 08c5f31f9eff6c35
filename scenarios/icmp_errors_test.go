package scenarios

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// C8, S12: a packet that runs out of hops is told of to its sender, who reads of
// the packet that it sent: from the balancing node, and from the backend's node,
// which knows the packet under other addresses.
func TestHopsRunOut(t *testing.T) {
	t.Parallel()
	everyBalancer.Run(t, topo.Cluster(3), func(t *testing.T, lab *harness.Lab) {
		client, node1, web := lab.Host("client"), lab.Node("node1"), lab.Pod("web-on-node3")
		each(t, []protocol{tcp, udp}, func(t *testing.T, p protocol) {
			lab.AddService(t, harness.NodePort(30080, p.port(80), web))
			for _, c := range []struct {
				name string
				hops uint8
				by   netip.Addr
			}{
				{"on the balancing node", 1, node1.Addr()},
				{"on the backend's node", 2, netip.Addr{}}, // translated, it may name either
			} {
				t.Run(c.name, func(t *testing.T) {
					sent := client.Send(t, withHops(lab, c.hops, p.request(node1.AddrPort(30080))))
					client.Expect(t, hopsRanOut(lab, c.by, sent))
				})
			}
		})
	})
}

// S12: what a backend says of a request reaches the client, and what the client
// says of an answer reaches the backend, each about the packet as its sender
// knows it.
func TestErrorsAreTranslatedBack(t *testing.T) {
	t.Parallel()
	everyBalancer.Run(t, topo.Cluster(3), func(t *testing.T, lab *harness.Lab) {
		client, node1 := lab.Host("client"), lab.Node("node1")
		for _, name := range []string{"web-on-node1", "web-on-node3"} {
			web := lab.Pod(name)
			t.Run(name, func(t *testing.T) {
				each(t, []protocol{tcp, udp}, func(t *testing.T, p protocol) {
					lab.AddService(t, harness.NodePort(30080, p.port(80), web))
					sent := client.Send(t, p.request(node1.AddrPort(30080)))
					request := web.Expect(t, p.request(web.AddrPort(80)))
					web.Send(t, tooLong(web.Addr(), request.Src().Addr(), 1300, request.Quote()))
					client.Expect(t, tooLong(node1.Addr(), client.Addr(), 1300, quoted(sent)))

					answer := web.Send(t, p.reply(request))
					answered := client.Expect(t, p.reply(sent))
					client.Send(t, tooLong(client.Addr(), node1.Addr(), 1300, answered.Quote()))
					web.Expect(t, tooLong(request.Src().Addr(), web.Addr(), 1300, quoted(answer)))
				})
			})
		}
	})
}

// C8: datagrams larger than the MTU arrive whole, there and back, near and far:
// all fragments of one reach one backend, with the same translation.
func TestFragmentsStayTogether(t *testing.T) {
	t.Parallel()
	everyBalancer.Run(t, topo.Cluster(3), func(t *testing.T, lab *harness.Lab) {
		client, node1 := lab.Host("client"), lab.Node("node1")
		for _, name := range []string{"web-on-node1", "web-on-node3"} {
			web := lab.Pod(name)
			t.Run(name, func(t *testing.T) {
				lab.AddService(t, harness.NodePort(30080, udp.port(80), web))
				listener := web.ListenPacket(t, 80)
				go echoPackets(listener)
				conn := client.Dial(t, "udp", node1.AddrPort(30080))
				require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
				for range 4 {
					datagram := make([]byte, 4000)
					for i := range datagram {
						datagram[i] = byte(i * 7)
					}
					_, err := conn.Write(datagram)
					require.NoError(t, err)
					got := make([]byte, 8000)
					n, err := conn.Read(got)
					require.NoError(t, err)
					require.Equal(t, datagram, got[:n])
				}
			})
		}
	})
}

// echoPackets answers every datagram with itself until the socket is closed.
func echoPackets(conn net.PacketConn) {
	buffer := make([]byte, 65536)
	for {
		n, from, err := conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		if _, err := conn.WriteTo(buffer[:n], from); err != nil && err != io.EOF {
			return
		}
	}
}

// withHops is a packet that so many nodes may forward.
func withHops(lab *harness.Lab, hops uint8, what packet.Template) packet.Template {
	if lab.Family() == topo.IPv6 {
		return packet.Layers{packet.IPv6{HopLimit: hops}, what}
	}
	return packet.Layers{packet.IPv4{TTL: hops}, what}
}

// hopsRanOut is what a machine says of a packet that it could not forward any more.
func hopsRanOut(lab *harness.Lab, by netip.Addr, sent *packet.Packet) packet.Template {
	if lab.Family() == topo.IPv6 {
		return packet.ICMPv6{Src: by, Dst: sent.Src().Addr(), Type: packet.ICMPv6TimeExceeded, Embedded: quoted(sent)}
	}
	return packet.ICMP{Src: by, Dst: sent.Src().Addr(), Type: packet.ICMPTimeExceeded, Embedded: quoted(sent)}
}

// quoted is a packet as an error about it names it.
func quoted(sent *packet.Packet) packet.Template {
	if _, ok := sent.UDP(); ok {
		return packet.UDP{Src: sent.Src(), Dst: sent.Dst()}
	}
	return packet.TCP{Src: sent.Src(), Dst: sent.Dst()}
}
