package bpf_test

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness/feature"
	"github.com/skbench/skbench/harness/socket"
)

// TestStormAtSockets names services, backends and what comes of changing their addresses in system calls on UDP and TCP sockets of a pod and
// of the node, as BPF_PROG_RUN does not run these programs: a socket is connected to what it named, an answer comes from whom it was sent to,
// every refusal is counted with its reason, and the kernel has no complaint. One call in twenty sends a datagram and waits for the answer;
// the others connect UDP sockets, or send up to where a packet would be made. TCP has a connection for each fifty of them.
func TestStormAtSockets(t *testing.T) {
	t.Parallel()
	feature.Need(t, feature.NetNSCookie)
	before := kernelLog(t)
	s := newSocketStorm(t)
	for n := range *storm {
		c := &s.clients[s.IntN(len(s.clients))]
		switch {
		case n%20 == 0:
			c.asks(s.answered[s.IntN(len(s.answered))])
		case s.IntN(2) == 0:
			c.connects(s.name())
		default:
			c.probes(s.name())
		}
	}
	for point, refused := range s.refused {
		require.EqualValues(t, refused, s.rig.counted(t, point, bpf.Drop, bpf.NoBackend), "refused at %s", point)
		require.NotZero(t, refused, "at %s", point)
		require.NotZero(t, s.rig.counted(t, point, bpf.Balance, bpf.NoDrop), "at %s", point)
		require.NotZero(t, s.rig.counted(t, point, bpf.Pass, bpf.NoDrop), "at %s", point)
	}
	for range *storm / 50 {
		s.clients[s.IntN(len(s.clients))].connectsTCP(s.nearName())
	}

	peers, err := s.rig.SocketPeers()
	require.NoError(t, err)
	for _, p := range peers {
		require.Contains(t, []netip.AddrPort{client.at(v4, 53), client.at(v6, 53)}, p.Backend, "%v", p)
	}
	require.Empty(t, warnings(since(kernelLog(t), before)))
}

// socketStorm draws names, its examples, and has clients use them.
type socketStorm struct {
	storming
	testing.TB
	rig      *socketRig
	clients  []stormClient
	answered []netip.AddrPort // names that lead to a backend from everywhere, and the backend's own
	refused  map[bpf.Point]int
}

// stormClient is the sockets of one family in one place: one connects and the other sends, so that no error of one is told by the other.
type stormClient struct {
	*socketStorm
	family
	place               *socket.Process
	connecting, sending plain
}

func newSocketStorm(t testing.TB) *socketStorm {
	const seed, nodePort = 1, 30080
	s := &socketStorm{TB: t, rig: newSocketRig(t, 4096), refused: map[bpf.Point]int{bpf.AtConnect: 0, bpf.AtSendmsg: 0}}
	s.Rand = rand.New(rand.NewPCG(seed, seed))
	s.rig.echo(t, 53)
	for _, f := range families {
		for _, p := range balanced {
			for number := range 2 {
				s.rig.serve(t, p, vip(f, number), 53)
			}
			require.NoError(t, s.rig.PutService(bpf.Service{Frontend: bpf.Frontend{Addr: vip(f, 2), Protocol: p}}))
			require.NoError(t, s.rig.PutService(bpf.Service{
				Frontend: bpf.Frontend{Addr: node1.at(f, nodePort), Protocol: p}, Backends: at(client.at(f, 53)), NodePort: true,
			}))
		}
		require.NoError(t, s.rig.PutPrefix(netip.PrefixFrom(node2.addr(f), node2.addr(f).BitLen()), bpf.EntityNode))
		s.answered = append(s.answered, vip(f, 0), vip(f, 1), node1.at(f, nodePort), node2.at(f, nodePort), lxcA.at(f, nodePort), client.at(f, 53))
		for _, place := range []*socket.Process{s.rig.pod, s.rig.node} {
			s.clients = append(s.clients, stormClient{s, f, place,
				open(t, place, domains[f], unix.SOCK_DGRAM, 0), open(t, place, domains[f], unix.SOCK_DGRAM, 0)})
		}
	}
	others := append([]netip.AddrPort{vip(v4, 2), vip(v6, 2)}, netip.MustParseAddrPort("127.0.0.1:30080"), netip.MustParseAddrPort("[::1]:30080"),
		netip.MustParseAddrPort("0.0.0.0:30080"), netip.MustParseAddrPort("[::]:30080"))
	for _, to := range append(others, s.answered...) {
		if to.Addr().Is4() {
			s.examples = append(s.examples, sockaddr(to, v4))
		}
		s.examples = append(s.examples, sockaddr(netip.AddrPortFrom(netip.AddrFrom16(to.Addr().As16()), to.Port()), v6))
	}
	return s
}

// name is an example with some bytes changed, perhaps cut short; one in sixteen is random but for its family.
func (s *socketStorm) name() []byte {
	name := append([]byte(nil), s.examples[s.IntN(len(s.examples))]...)
	if s.IntN(16) == 0 {
		s.fill(name[2:])
	}
	for range s.IntN(3) {
		name[s.IntN(len(name))] = s.value()
	}
	if s.IntN(8) == 0 {
		name = name[:s.IntN(len(name)+1)]
	}
	return name
}

// nearName is name with the address of an example, so that there is no end of neighbours that packets would ask for.
func (s *socketStorm) nearName() []byte {
	name := append([]byte(nil), s.examples[s.IntN(len(s.examples))]...)
	if s.IntN(2) == 0 {
		name[s.IntN(4)] = s.value()
	}
	if s.IntN(8) == 0 {
		name = name[:s.IntN(len(name)+1)]
	}
	return name
}

// as is a name in the form that sockets of the client have it in.
func (c *stormClient) as(to netip.AddrPort) netip.AddrPort {
	if c.family == v4 {
		return to
	}
	return netip.AddrPortFrom(netip.AddrFrom16(to.Addr().As16()), to.Port())
}

// peerOf is what a socket that was connected by that name says its peer is; not valid where the kernel puts another in its place: for
// nobody, for port 0, and for no family, which disconnects, and may be all of a name.
func (c *stormClient) peerOf(name []byte) (peer netip.AddrPort) {
	if len(name) < unix.SizeofSockaddrInet4 {
		return peer
	}
	port := binary.BigEndian.Uint16(name[2:])
	switch binary.NativeEndian.Uint16(name) {
	case unix.AF_INET:
		peer = netip.AddrPortFrom(netip.AddrFrom4([4]byte(name[4:])), port)
	case unix.AF_INET6:
		peer = netip.AddrPortFrom(netip.AddrFrom16([16]byte(name[8:])), port)
	}
	if !peer.IsValid() || port == 0 || peer.Addr().Unmap().IsUnspecified() {
		return netip.AddrPort{}
	}
	return c.as(peer)
}

// count notes whether a program refused a call.
func (c *stormClient) count(at bpf.Point, err error) {
	if errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.EPERM) { // as on kernels where a program cannot say why
		c.refused[at]++
	}
}

func (c *stormClient) connects(name []byte) {
	err := c.connecting.connect(name)
	c.count(bpf.AtConnect, err)
	if err != nil {
		return
	}
	if want := c.peerOf(name); want.IsValid() {
		require.Equal(c, want, c.connecting.peer(), "connected by % x", name)
	}
}

const msgProbe = 0x10 // MSG_PROBE of include/linux/socket.h

// probes sends as for a packet that only asks whether the way is right: it is not made.
func (c *stormClient) probes(name []byte) {
	_, _, errno := unix.Syscall6(unix.SYS_SENDTO, uintptr(c.sending.fd), 0, 0, unix.MSG_CONFIRM|msgProbe,
		uintptr(unsafe.Pointer(unsafe.SliceData(name))), uintptr(len(name)))
	c.count(bpf.AtSendmsg, errno)
}

// asks sends a datagram and takes the answer. An IPv4 socket asks only who has an IPv4 address.
func (c *stormClient) asks(to netip.AddrPort) {
	if c.family == v4 && to.Addr().Is6() {
		return
	}
	to = c.as(to)
	require.NoError(c, c.sending.send(sockaddr(to, c.family)), "to %s", to)
	require.Equal(c, to, c.sending.from())
}

func (c *stormClient) connectsTCP(name []byte) {
	file, err := c.place.Socket(c.Context(), domains[c.family], unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	require.NoError(c, err)
	defer file.Close()
	s := plain{c.TB, file, int(file.Fd())}
	require.NoError(c, unix.SetNonblock(s.fd, true))
	if err := s.connect(name); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return
	}
	peer, err := unix.Getpeername(s.fd)
	if want := c.peerOf(name); err == nil && want.IsValid() {
		require.Equal(c, want, named(peer), "connected by % x", name)
	}
}
