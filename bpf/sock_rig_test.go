package bpf_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness/feature"
	"github.com/skbench/skbench/harness/socket"
	"github.com/skbench/skbench/topo"
)

// socketRig is node 1 with its pod a, whose sockets meet the programs, and the client, where services have their backends: with
// no datapath but that, so that what does not name a backend goes nowhere.
type socketRig struct {
	*bpf.Node
	network   *topo.Network
	node, pod *socket.Process
}

func newSocketRig(t testing.TB, sockets uint32, changes ...func(*bpf.Config)) *socketRig {
	t.Helper()
	feature.Need(t, feature.EBPFSockets)
	topology := topo.Topology{}
	topology.AddNode("node1")
	topology.AddPod("a-on-node1", "node1")
	topology.AddHost("client")
	node1 := topology.Nodes[0]
	topology.Routes = []topo.Route{
		{Machine: "client", Prefix: node1.PodsIPv4, Via: node1.IPv4}, {Machine: "client", Prefix: node1.PodsIPv6, Via: node1.IPv6},
	}
	network, err := topo.Up(t.Context(), topology)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, network.Close()) })
	r := &socketRig{network: network}

	config := goodConfig()
	config.WithoutSetRetval = feature.SetRetval.Check().State != feature.Yes
	node, _ := network.Machine("node1")
	config.NetNSCookie, err = node.NetNSCookie()
	require.NoError(t, err)
	for _, change := range changes {
		change(&config)
	}
	sizes := smallMaps
	sizes.Sockets = sockets
	r.Node, err = bpf.Load(config, bpf.Options{Sizes: sizes, WithoutSocketRelease: feature.SocketCookie.Check().State != feature.Yes})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	machine, _ := network.Machine("node1")
	for _, p := range r.Programs.Sockets {
		_, err := machine.AttachCgroup(p.Program, p.Place)
		require.NoError(t, err)
	}
	r.node, r.pod = startSockets(t, network, "node1"), startSockets(t, network, "a-on-node1")
	return r
}

func startSockets(t testing.TB, network *topo.Network, name string) *socket.Process {
	t.Helper()
	m, _ := network.Machine(name)
	p, err := socket.Start(name, m.Start)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// vip is an address of a service.
func vip(f family, number int) netip.AddrPort {
	if f == v6 {
		return netip.MustParseAddrPort(fmt.Sprintf("[fd00:192:168::%d]:5353", number))
	}
	return netip.MustParseAddrPort(fmt.Sprintf("192.168.0.%d:5353", number))
}

// serve leads an address to a port of the client.
func (r *socketRig) serve(t testing.TB, p bpf.Protocol, to netip.AddrPort, port uint16) {
	t.Helper()
	f := v6
	if to.Addr().Is4() {
		f = v4
	}
	require.NoError(t, r.PutService(bpf.Service{
		Frontend: bpf.Frontend{Addr: to, Protocol: p}, Backends: at(client.at(f, port)),
	}))
}

// plain is a socket on which system calls are made by hand.
type plain struct {
	testing.TB
	file *os.File
	fd   int
}

func open(t testing.TB, p *socket.Process, domain, kind, protocol int) plain {
	t.Helper()
	file, err := p.Socket(t.Context(), domain, kind, protocol)
	require.NoError(t, err)
	t.Cleanup(func() { file.Close() })
	fd := int(file.Fd())
	wait := unix.NsecToTimeval(int64(patience))
	require.NoError(t, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait))
	return plain{t, file, fd}
}

// sockaddr is an address as it lies in memory, for sockets of f: struct sockaddr_in or sockaddr_in6.
func sockaddr(to netip.AddrPort, f family) []byte {
	if f == v4 {
		ip := to.Addr().As4()
		return append([]byte{unix.AF_INET, 0, byte(to.Port() >> 8), byte(to.Port()), ip[0], ip[1], ip[2], ip[3]}, make([]byte, 8)...)
	}
	ip := to.Addr().As16()
	b := append([]byte{unix.AF_INET6, 0, byte(to.Port() >> 8), byte(to.Port())}, make([]byte, 4)...)
	return append(append(b, ip[:]...), make([]byte, 4)...)
}

func (s plain) connect(name []byte) error {
	_, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(s.fd), uintptr(unsafe.Pointer(unsafe.SliceData(name))), uintptr(len(name)))
	if errno != 0 {
		return errno
	}
	return nil
}

func (s plain) send(name []byte) error {
	text := []byte("hello")
	_, _, errno := unix.Syscall6(unix.SYS_SENDTO, uintptr(s.fd), uintptr(unsafe.Pointer(&text[0])), uintptr(len(text)), 0,
		uintptr(unsafe.Pointer(unsafe.SliceData(name))), uintptr(len(name)))
	if errno != 0 {
		return errno
	}
	return nil
}

// receive returns where the next answer came from, as recvfrom(2) tells, and which port of the client says that it sent it.
func (s plain) receive() (from netip.AddrPort, port uint16) {
	s.Helper()
	answer := make([]byte, 2)
	sa, err := receiveInto(s.fd, answer)
	require.NoError(s, err)
	return named(sa), binary.BigEndian.Uint16(answer)
}

// receiveInto waits for a datagram. A signal ends a call on a socket that has a timeout (signal(7)), and Go's scheduler sends
// them: then it is made again.
func receiveInto(fd int, b []byte) (from unix.Sockaddr, err error) {
	for {
		if _, from, err = unix.Recvfrom(fd, b, 0); !errors.Is(err, unix.EINTR) {
			return from, err
		}
	}
}

// from is where the next answer came from.
func (s plain) from() netip.AddrPort {
	s.Helper()
	from, _ := s.receive()
	return from
}

// cookie is the number by which programs know the socket.
func (s plain) cookie() uint64 {
	s.Helper()
	cookie, err := unix.GetsockoptUint64(s.fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	require.NoError(s, err)
	return cookie
}

func (s plain) peer() netip.AddrPort {
	s.Helper()
	sa, err := unix.Getpeername(s.fd)
	require.NoError(s, err)
	return named(sa)
}

func named(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	return netip.AddrPort{}
}

// echo answers what comes to a port of the client until the test ends, by UDP with the port's number, and lets TCP connect.
func (r *socketRig) echo(t testing.TB, port uint16) {
	t.Helper()
	p := startSockets(t, r.network, "client")
	for _, f := range families {
		listener, err := p.Listen(t.Context(), "tcp", client.at(f, port).String())
		require.NoError(t, err)
		t.Cleanup(func() { listener.Close() })
		conn, err := p.ListenPacket(t.Context(), "udp", client.at(f, port).String())
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		go func() {
			for b := make([]byte, 100); ; {
				_, from, err := conn.ReadFrom(b)
				if err != nil {
					return
				}
				conn.WriteTo(binary.BigEndian.AppendUint16(nil, port), from)
			}
		}()
	}
}

var domains = map[family]int{v4: unix.AF_INET, v6: unix.AF_INET6}

// counted is how often a program did something since the test began.
func (r *socketRig) counted(t testing.TB, at bpf.Point, v bpf.Verdict, reason bpf.DropReason) uint64 {
	t.Helper()
	metrics, err := r.Metrics()
	require.NoError(t, err)
	for _, m := range metrics {
		if m.Point == at && m.Verdict == v && m.Reason == reason {
			require.Zero(t, m.Bytes)
			return m.Packets
		}
	}
	return 0
}
