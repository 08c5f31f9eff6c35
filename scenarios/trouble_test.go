package scenarios

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/feature"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// trouble is a kind of ICMP error, of either family.
type trouble struct {
	name   string
	icmp   packet.ICMP
	icmpv6 packet.ICMPv6
}

var (
	nobodyListens = trouble{"port unreachable",
		packet.ICMP{Type: packet.ICMPDestinationUnreachable, Code: packet.ICMPPortUnreachable},
		packet.ICMPv6{Type: packet.ICMPv6DestinationUnreachable, Code: packet.ICMPv6PortUnreachable}}
	tooBig    = tooBigFor(1300)
	noHopLeft = trouble{"time exceeded",
		packet.ICMP{Type: packet.ICMPTimeExceeded},
		packet.ICMPv6{Type: packet.ICMPv6TimeExceeded}}
)

// tooBigFor says what would fit.
func tooBigFor(mtu int) trouble {
	return trouble{"too big",
		packet.ICMP{Type: packet.ICMPDestinationUnreachable, Code: packet.ICMPFragmentationNeeded, MTU: uint16(mtu)},
		packet.ICMPv6{Type: packet.ICMPv6PacketTooBig, MTU: uint32(mtu)}}
}

// about is the error from one address to another, either of which may be left open,
// that quotes a packet.
func (k trouble) about(from, to netip.Addr, quote packet.Template) packet.Template {
	if to.Is6() {
		k.icmpv6.Src, k.icmpv6.Dst, k.icmpv6.Embedded = from, to, quote
		return k.icmpv6
	}
	k.icmp.Src, k.icmp.Dst, k.icmp.Embedded = from, to, quote
	return k.icmp
}

// named is a packet by what tells its flow, as an error must quote it.
func named(p *packet.Packet) packet.Template {
	if _, ok := p.UDP(); ok {
		return packet.UDP{Src: p.Src(), Dst: p.Dst()}
	}
	if _, ok := p.TCP(); ok {
		return packet.TCP{Src: p.Src(), Dst: p.Dst()}
	}
	return packet.Echo{Src: p.Src().Addr(), Dst: p.Dst().Addr(), ID: sourcePort(p)}
}

// S12: what goes wrong with a masqueraded request, or with its answer, is told to the
// pod and to the world, each about the packet as it knows it.
func TestErrorsAboutMasqueraded(t *testing.T) {
	t.Parallel()
	everyDatapath.Run(t, topo.Cluster(1), func(t *testing.T, lab *harness.Lab) {
		pod, node, world := lab.Pod("web-on-node1"), lab.Node("node1"), lab.Host("client")
		each(t, []protocol{tcp, udp, echo}, func(t *testing.T, p protocol) {
			asked := pod.Send(t, p.request(world.AddrPort(443)))
			request := world.Expect(t, p.request(world.AddrPort(443)))
			world.Send(t, p.reply(request))
			answered := pod.Expect(t, p.reply(asked))

			for _, kind := range []trouble{nobodyListens, tooBig, noHopLeft} {
				t.Run(kind.name, func(t *testing.T) {
					world.Send(t, kind.about(world.Addr(), node.Addr(), request.Quote()))
					pod.Expect(t, kind.about(world.Addr(), pod.Addr(), named(asked)))

					if p.name == echo.name {
						return // nobody complains about an answer to an echo
					}
					pod.Send(t, kind.about(pod.Addr(), world.Addr(), answered.Quote()))
					about := packet.Template(packet.TCP{Src: request.Dst(), Dst: request.Src()})
					if p.name == udp.name {
						about = packet.UDP{Src: request.Dst(), Dst: request.Src()}
					}
					world.Expect(t, kind.about(node.Addr(), world.Addr(), about))
				})
			}
		})
	})
}

// S12: the kernel of a client takes "port unreachable" from behind a service for
// what it is: nobody listens where the service leads.
func TestRefusedBehindAService(t *testing.T) {
	t.Parallel()
	everyBalancer.Run(t, topo.Cluster(2), func(t *testing.T, lab *harness.Lab) {
		client, node1 := lab.Host("client"), lab.Node("node1")
		for _, name := range []string{"web-on-node1", "web-on-node2"} {
			t.Run(name, func(t *testing.T) {
				lab.AddService(t, harness.NodePort(30080, packet.UDPPort(80), lab.Pod(name)))
				conn := client.Dial(t, "udp", node1.AddrPort(30080))
				_, err := conn.Write([]byte("anyone there?"))
				require.NoError(t, err)
				require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
				_, err = conn.Read(make([]byte, 100))
				require.True(t, errors.Is(err, syscall.ECONNREFUSED), "%v", err)
			})
		}
	})
}

// C8: a packet that does not fit the way behind the balancing node: the client is
// told what would, about the packet that it sent. One so long arrives, and
// connections go on.
func TestTooBigForTheWay(t *testing.T) {
	t.Parallel()
	everyBalancer.Run(t, topo.Cluster(2), func(t *testing.T, lab *harness.Lab) {
		client, pod, node1, web := lab.Host("client"), lab.Pod("client-on-node1"), lab.Node("node1"), lab.Pod("web-on-node2")
		for _, pods := range []netip.Prefix{topo.PodsIPv4(2), topo.PodsIPv6(2)} {
			require.NoError(t, node1.Network().RouteMTU(pods, 1300))
		}
		service := lab.AddService(t, harness.NodePort(30080, packet.UDPPort(80), web))
		for _, c := range []struct {
			name string
			from *harness.Machine
			to   netip.AddrPort
		}{{"node port", client, node1.AddrPort(30080)}, {"cluster address", pod, service.AddrPort()}} {
			t.Run(c.name, func(t *testing.T) {
				sent := c.from.Send(t, packet.UDP{Dst: c.to, Payload: make([]byte, 1400)})
				told := mtuTold(c.from.Expect(t, tooBigFor(0).about(netip.Addr{}, c.from.Addr(), named(sent))))
				require.LessOrEqual(t, told, 1300)
				require.GreaterOrEqual(t, told, leastTold(lab, 1300))
				web.ExpectNone(t, packet.UDP{Dst: web.AddrPort(80)})
				tooMany := len(sent.Data) - ethernetHeader - told
				c.from.Send(t, packet.UDP{Dst: c.to, Payload: make([]byte, 1400-tooMany)})
				web.Expect(t, packet.UDP{Dst: web.AddrPort(80)})
			})
		}
		t.Run("connection", func(t *testing.T) {
			lab.AddService(t, harness.NodePort(30081, packet.TCPPort(8080), web))
			received := receive(web.Listen(t, 8080))
			conn := client.Dial(t, "tcp", node1.AddrPort(30081))
			sent := make([]byte, 100_000)
			require.NoError(t, conn.SetWriteDeadline(time.Now().Add(patience)))
			_, err := conn.Write(sent)
			require.NoError(t, err)
			require.NoError(t, conn.Close())
			require.Equal(t, len(sent), <-received)
		})
	})
}

const ethernetHeader = 14 // bytes

// mtuTold is what an error says that would fit.
func mtuTold(about *packet.Packet) int {
	if icmp, ok := about.ICMP(); ok {
		return int(icmp.MTU)
	}
	icmp, _ := about.ICMPv6()
	return int(icmp.MTU)
}

// leastTold is what a sender must be told at least when this MTU, of 1280 or more, would
// fit. Programs that the kernel's FIB does not tell it have to try what is usual.
func leastTold(lab *harness.Lab, mtu int) int {
	if slices.Contains(lab.Datapath().Needs(), feature.EBPFDatapath) && feature.FIBMTU.Check().State != feature.Yes {
		return 1280
	}
	return mtu
}

// receive counts the bytes of one connection.
func receive(listener net.Listener) <-chan int {
	received := make(chan int, 1)
	go func() {
		total := 0
		defer func() { received <- total }()
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		for buf := make([]byte, 64<<10); ; {
			conn.SetReadDeadline(time.Now().Add(patience))
			n, err := conn.Read(buf)
			total += n
			if err != nil {
				return
			}
		}
	}()
	return received
}
