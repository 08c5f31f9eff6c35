package scenarios

import (
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/ebpf"
	"github.com/skbench/skbench/harness/feature"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// everyWay serves pods by their sockets, where it can, and packet by packet.
var everyWay = append(harness.Datapaths{ebpf.Datapath(ebpf.WithoutSockets())}, everyDatapath...)

// S1: a socket that connects to a service has the backend in its very first packet, and nothing on the wire ever names the
// service. The application is told of nothing else.
func TestSocketConnectsToTheBackend(t *testing.T) {
	t.Parallel()
	feature.Need(t, feature.EBPFSockets)
	onlyEBPF.Run(t, topo.Cluster(2), func(t *testing.T, lab *harness.Lab) {
		client := lab.Pod("client-on-node1")
		for _, name := range []string{"web-on-node1", "web-on-node2"} {
			web := lab.Pod(name)
			t.Run("TCP to "+name, func(t *testing.T) {
				answer(t, web, packet.TCPPort(80))
				service := lab.AddService(t, harness.ClusterIP(packet.TCPPort(8080), 80, web))
				wire := watch(t, lab)
				conn := client.Dial(t, "tcp", service.AddrPort())
				require.Equal(t, service.AddrPort(), peerOf(t, conn))
				require.Equal(t, name, ask(t, conn))
				require.Nil(t, packet.Match(tcp.request(web.AddrPort(80)), wire.sentOn(t, client, conn)[0]))
				wire.never(t, service.AddrPort())
			})
			t.Run("UDP to "+name, func(t *testing.T) {
				answer(t, web, packet.UDPPort(53))
				service := lab.AddService(t, harness.ClusterIP(packet.UDPPort(5353), 53, web))
				wire := watch(t, lab)
				conn := client.Dial(t, "udp", service.AddrPort())
				require.Equal(t, service.AddrPort(), peerOf(t, conn))
				require.Equal(t, name, ask(t, conn))
				require.Equal(t, web.AddrPort(53), wire.sentOn(t, client, conn)[0].Dst())
				wire.never(t, service.AddrPort())
			})
		}
	})
}

// C9 at the socket: a pod that is its service's only backend talks to itself, and takes itself for the service.
func TestSocketReachesItsOwnPod(t *testing.T) {
	t.Parallel()
	feature.Need(t, feature.EBPFSockets)
	onlyEBPF.Run(t, topo.Cluster(1), func(t *testing.T, lab *harness.Lab) {
		web := lab.Pod("web-on-node1")
		for network, port := range map[string]packet.Port{"tcp": packet.TCPPort(80), "udp": packet.UDPPort(80)} {
			answer(t, web, port)
			service := lab.AddService(t, harness.ClusterIP(packet.Port{Protocol: port.Protocol, Number: 8080}, 80, web))
			wire := watch(t, lab)
			conn := web.Dial(t, network, service.AddrPort())
			require.Equal(t, service.AddrPort(), peerOf(t, conn))
			require.Equal(t, web.Name(), ask(t, conn))
			require.Equal(t, web.AddrPort(0).Addr(), addrOf(conn.LocalAddr()))
			wire.never(t, service.AddrPort(), web.AddrPort(80))
		}
	})
}

func addrOf(a net.Addr) netip.Addr { return netip.MustParseAddrPort(a.String()).Addr() }

// S1: a UDP socket that is not connected sends to many services, and is answered by each under the service's own address.
// With one service it talks to one backend, as a flow would.
func TestDatagramsComeFromTheirService(t *testing.T) {
	t.Parallel()
	feature.Need(t, feature.EBPFSockets)
	onlyEBPF.Run(t, topo.Cluster(3), func(t *testing.T, lab *harness.Lab) {
		client, host := lab.Pod("client-on-node1"), lab.Host("client")
		var webs []*harness.Machine
		for _, name := range []string{"web-on-node1", "web-on-node2", "web-on-node3"} {
			web := lab.Pod(name)
			answer(t, web, packet.UDPPort(53))
			webs = append(webs, web)
		}
		answer(t, host, packet.UDPPort(53))
		all := lab.AddService(t, harness.ClusterIP(packet.UDPPort(1053), 53, webs...))
		second := lab.AddService(t, harness.ClusterIP(packet.UDPPort(2053), 53, webs[1]))
		third := lab.AddService(t, harness.ClusterIP(packet.UDPPort(3053), 53, webs[2]))
		conn := client.ListenPacket(t, 4053)

		wire := watch(t, lab)
		one := askOf(t, conn, all.AddrPort())
		for range 20 {
			require.Equal(t, "web-on-node3", askOf(t, conn, third.AddrPort()))
			require.Equal(t, "web-on-node2", askOf(t, conn, second.AddrPort()))
			require.Equal(t, one, askOf(t, conn, all.AddrPort()), "one socket talks to one backend of a service")
			require.Equal(t, "client", askOf(t, conn, host.AddrPort(53)), "what is no service is left alone")
			require.Equal(t, "web-on-node1", askOf(t, conn, webs[0].AddrPort(53)), "a backend under its own address")
		}
		wire.never(t, all.AddrPort(), second.AddrPort(), third.AddrPort())

		served := map[string]bool{}
		for port := range uint16(40) {
			served[askOf(t, client.ListenPacket(t, 5000+port), all.AddrPort())] = true
		}
		require.Len(t, served, 3, "sockets spread over the backends")
	})
}

// S11: a UDP socket leaves a backend that its service has lost, and stays with one that the service still has. One that sends
// without being connected just goes on; one that is connected is told by an error, and gets another backend when it connects
// again.
func TestDatagramsLeaveALostBackend(t *testing.T) {
	t.Parallel()
	feature.Need(t, feature.EBPFSockets)
	onlyEBPF.Run(t, topo.Cluster(2), func(t *testing.T, lab *harness.Lab) {
		client, first, second := lab.Pod("client-on-node1"), lab.Pod("web-on-node1"), lab.Pod("web-on-node2")
		answer(t, first, packet.UDPPort(53))
		answer(t, second, packet.UDPPort(53))
		both := harness.ClusterIP(packet.UDPPort(5353), 53, first, second).Backends
		service := lab.AddService(t, harness.ClusterIP(packet.UDPPort(5353), 53, first))
		sending := client.ListenPacket(t, 4053)
		connected := client.Dial(t, "udp", service.AddrPort())
		require.Equal(t, first.Name(), askOf(t, sending, service.AddrPort()))
		require.Equal(t, first.Name(), ask(t, connected))

		service.Change(t, func(s *harness.Service) { s.Backends = both })
		for range 10 {
			require.Equal(t, first.Name(), askOf(t, sending, service.AddrPort()), "its backend is still there")
			require.Equal(t, first.Name(), ask(t, connected))
		}

		service.Change(t, func(s *harness.Service) { s.Backends = both[1:] })
		require.Equal(t, second.Name(), askOf(t, sending, service.AddrPort()))
		feature.Need(t, feature.UDPAbort)
		_, err := connected.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNABORTED)
		require.Equal(t, second.Name(), ask(t, client.Dial(t, "udp", service.AddrPort())))
	})
}

// answer serves a port of the machine until the test ends: whatever is said, it answers with the machine's name.
func answer(t testing.TB, m *harness.Machine, port packet.Port) {
	t.Helper()
	if port.Protocol == packet.ProtocolTCP {
		listener := m.Listen(t, port.Number)
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				go func() {
					defer conn.Close()
					for buf := make([]byte, 1500); ; {
						if _, err := conn.Read(buf); err != nil {
							return
						}
						conn.Write([]byte(m.Name()))
					}
				}()
			}
		}()
		return
	}
	conn := m.ListenPacket(t, port.Number)
	go func() {
		for buf := make([]byte, 1500); ; {
			_, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			conn.WriteTo([]byte(m.Name()), from)
		}
	}()
}

// ask says something on a connection and returns the answer.
func ask(t testing.TB, conn net.Conn) string {
	t.Helper()
	_, err := conn.Write([]byte("who are you?"))
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	buf := make([]byte, 1500)
	n, err := conn.Read(buf)
	require.NoError(t, err)
	return string(buf[:n])
}

// askOf sends a datagram to an address and returns the answer, which must come from there.
func askOf(t testing.TB, conn net.PacketConn, to netip.AddrPort) string {
	t.Helper()
	_, err := conn.WriteTo([]byte("who are you?"), net.UDPAddrFromAddrPort(to))
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	buf := make([]byte, 1500)
	n, from, err := conn.ReadFrom(buf)
	require.NoError(t, err)
	require.Equal(t, to.String(), from.String(), "the answer must come from whom was asked")
	return string(buf[:n])
}

// peerOf is what getpeername(2) says, and Go with it.
func peerOf(t testing.TB, conn net.Conn) (peer netip.AddrPort) {
	t.Helper()
	raw, err := conn.(syscall.Conn).SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) {
		sa, err := unix.Getpeername(int(fd))
		require.NoError(t, err)
		switch sa := sa.(type) {
		case *unix.SockaddrInet4:
			peer = netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
		case *unix.SockaddrInet6:
			peer = netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
		}
	}))
	require.Equal(t, peer.String(), conn.RemoteAddr().String())
	return peer
}

// carried is what the lab's devices carried since a moment.
type carried struct {
	lab    *harness.Lab
	before int // frames
}

func watch(t testing.TB, lab *harness.Lab) carried { return carried{lab, len(lab.Frames(t))} }

// sentBy returns the TCP and UDP packets that a machine sent, in order.
func (c carried) sentBy(t testing.TB, m *harness.Machine) (sent []*packet.Packet) {
	t.Helper()
	for _, f := range c.lab.Frames(t)[c.before:] {
		p, err := packet.Decode(f.Data)
		require.NoError(t, err)
		_, isTCP := p.TCP()
		_, isUDP := p.UDP()
		if f.Device.Machine == m.Name() && f.Device.Name == topo.NIC && f.Direction == topo.Out && (isTCP || isUDP) {
			sent = append(sent, p)
		}
	}
	require.NotEmpty(t, sent, "%s sent nothing", m.Name())
	return sent
}

// sentOn returns the packets that a machine sent on a connection, in order. (Others are there: what earlier ones say last.)
func (c carried) sentOn(t testing.TB, m *harness.Machine, conn net.Conn) []*packet.Packet {
	t.Helper()
	local := netip.MustParseAddrPort(conn.LocalAddr().String())
	sent := slices.DeleteFunc(c.sentBy(t, m), func(p *packet.Packet) bool { return p.Src() != local })
	require.NotEmpty(t, sent, "%s sent nothing from %s", m.Name(), local)
	return sent
}

// never fails the test if any packet on any device is from or for one of the addresses.
func (c carried) never(t testing.TB, addrs ...netip.AddrPort) {
	t.Helper()
	for _, f := range c.lab.Frames(t)[c.before:] {
		p, err := packet.Decode(f.Data)
		require.NoError(t, err)
		require.NotContains(t, addrs, p.Src(), "%s %s: %s", f.Device, f.Direction, p)
		require.NotContains(t, addrs, p.Dst(), "%s %s: %s", f.Device, f.Direction, p)
	}
}
