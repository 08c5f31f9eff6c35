package bpf_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness/feature"
)

func TestSocketsAreCounted(t *testing.T) {
	t.Parallel()
	r := newSocketRig(t, 64)
	r.echo(t, 53)
	var balanced, restored uint64
	for _, f := range families {
		t.Run(string(f), func(t *testing.T) {
			r.serve(t, bpf.UDP, vip(f, 1), 53)
			s := open(t, r.pod, domains[f], unix.SOCK_DGRAM, 0)
			require.NoError(t, s.send(sockaddr(vip(f, 1), f)))
			require.Equal(t, vip(f, 1), s.from())
			require.NoError(t, s.connect(sockaddr(vip(f, 1), f)))
			require.Equal(t, vip(f, 1), s.peer())
			balanced, restored = balanced+1, restored+1
			for _, point := range []bpf.Point{bpf.AtConnect, bpf.AtSendmsg} {
				require.Equal(t, balanced, r.counted(t, point, bpf.Balance, bpf.NoDrop), point)
			}
			for _, point := range []bpf.Point{bpf.AtRecvmsg, bpf.AtGetpeername} {
				require.Equal(t, restored, r.counted(t, point, bpf.Restore, bpf.NoDrop), point)
			}

			require.NoError(t, s.connect(sockaddr(client.at(f, 53), f)))
			require.Equal(t, client.at(f, 53), s.peer())
			require.Equal(t, balanced, r.counted(t, bpf.AtConnect, bpf.Pass, bpf.NoDrop))

		})
	}
}

// An IPv6 socket talks to IPv4 services as ::ffff:a.b.c.d, and is answered in that form.
func TestMappedAddresses(t *testing.T) {
	t.Parallel()
	r := newSocketRig(t, 64)
	r.echo(t, 53)
	r.serve(t, bpf.UDP, vip(v4, 1), 53)
	r.serve(t, bpf.TCP, vip(v4, 1), 53)
	mapped := netip.AddrPortFrom(netip.AddrFrom16(vip(v4, 1).Addr().As16()), 5353)
	require.True(t, mapped.Addr().Is4In6())

	stream := open(t, r.pod, unix.AF_INET6, unix.SOCK_STREAM, 0)
	require.NoError(t, stream.connect(sockaddr(mapped, v6)))
	require.Equal(t, mapped, stream.peer())
	datagrams := open(t, r.pod, unix.AF_INET6, unix.SOCK_DGRAM, 0)
	require.NoError(t, datagrams.send(sockaddr(mapped, v6)))
	require.Equal(t, mapped, datagrams.from())
	require.NoError(t, datagrams.send(sockaddr(vip(v4, 1), v4)), "by a plain IPv4 address, too")
	require.Equal(t, mapped, datagrams.from())
	require.NoError(t, datagrams.connect(sockaddr(mapped, v6)))
	require.Equal(t, mapped, datagrams.peer())
	require.NoError(t, datagrams.send(nil))
	require.Equal(t, mapped, datagrams.from())
	require.NoError(t, datagrams.connect(sockaddr(vip(v4, 1), v4)))
	require.Equal(t, mapped, datagrams.peer())

	peers, err := r.SocketPeers()
	require.NoError(t, err)
	require.Len(t, peers, 2)
	for _, p := range peers {
		require.Equal(t, vip(v4, 1), p.Named)
		require.Equal(t, client.at(v4, 53), p.Backend)
	}
}

// What callers get wrong, or lie about, fails as it does without programs or is left alone; nothing is balanced by mistake.
func TestSocketsThatLie(t *testing.T) {
	t.Parallel()
	r := newSocketRig(t, 64)
	r.echo(t, 53)
	for _, f := range families {
		for _, p := range []bpf.Protocol{bpf.TCP, bpf.UDP} {
			r.serve(t, p, vip(f, 1), 53)
		}
	}
	pod, _ := r.network.Machine("a-on-node1")
	require.NoError(t, pod.Sysctl("net.ipv4.ping_group_range", "0 0"))
	claiming := func(family uint16, name []byte) []byte {
		return append(binary.NativeEndian.AppendUint16(nil, family), name[2:]...)
	}
	ipv4, ipv6 := sockaddr(vip(v4, 1), v4), sockaddr(vip(v6, 1), v6)
	mapped := sockaddr(netip.AddrPortFrom(netip.AddrFrom16(vip(v4, 1).Addr().As16()), 5353), v6)
	const udpLite = 136
	for _, c := range []struct {
		what               string
		domain, kind, prot int
		connect, send      []byte // one of them
		want               error
		balanced           int
	}{
		{what: "TCP as it should be", domain: unix.AF_INET, kind: unix.SOCK_STREAM, connect: ipv4, balanced: 1},
		{what: "TCP, an IPv4 address that claims to be IPv6", domain: unix.AF_INET, kind: unix.SOCK_STREAM,
			connect: claiming(unix.AF_INET6, ipv4), want: unix.EAFNOSUPPORT},
		{what: "TCP, an IPv6 address that claims to be IPv4", domain: unix.AF_INET6, kind: unix.SOCK_STREAM,
			connect: claiming(unix.AF_INET, ipv6), want: unix.EAFNOSUPPORT},
		{what: "TCP, a family that there is not", domain: unix.AF_INET, kind: unix.SOCK_STREAM,
			connect: claiming(0xffff, ipv4), want: unix.EAFNOSUPPORT},
		{what: "TCP, an IPv4 address cut short", domain: unix.AF_INET, kind: unix.SOCK_STREAM, connect: ipv4[:8], want: unix.EINVAL},
		{what: "TCP, an IPv6 address cut short", domain: unix.AF_INET6, kind: unix.SOCK_STREAM, connect: ipv6[:16], want: unix.EINVAL},
		{what: "TCP, a family and nothing else", domain: unix.AF_INET, kind: unix.SOCK_STREAM, connect: ipv4[:2], want: unix.EINVAL},
		{what: "TCP, no address", domain: unix.AF_INET, kind: unix.SOCK_STREAM, connect: ipv4[:0], want: unix.EINVAL},
		{what: "TCP, IPv6 without a scope as in RFC 2133", domain: unix.AF_INET6, kind: unix.SOCK_STREAM, connect: ipv6[:24], balanced: 1},
		{what: "TCP, mapped", domain: unix.AF_INET6, kind: unix.SOCK_STREAM, connect: mapped, balanced: 1},
		{what: "UDP connects, IPv4 claims to be IPv6", domain: unix.AF_INET, kind: unix.SOCK_DGRAM,
			connect: claiming(unix.AF_INET6, ipv4), want: unix.EAFNOSUPPORT},
		{what: "UDP connects, IPv6 socket by an IPv4 address", domain: unix.AF_INET6, kind: unix.SOCK_DGRAM, connect: ipv4, balanced: 1},
		{what: "UDP connects to no family: disconnects", domain: unix.AF_INET, kind: unix.SOCK_DGRAM, connect: claiming(unix.AF_UNSPEC, ipv4)},
		{what: "UDP sends, no family: IPv4", domain: unix.AF_INET, kind: unix.SOCK_DGRAM, send: claiming(unix.AF_UNSPEC, ipv4), balanced: 1},
		{what: "UDP sends, IPv4 claims to be IPv6", domain: unix.AF_INET, kind: unix.SOCK_DGRAM,
			send: claiming(unix.AF_INET6, ipv4), want: unix.EAFNOSUPPORT},
		{what: "UDP sends, IPv6 claims to be IPv4", domain: unix.AF_INET6, kind: unix.SOCK_DGRAM,
			send: claiming(unix.AF_INET, ipv6)}, // to 0.0.0.0, which is the flow label of ipv6
		{what: "UDP sends, cut short", domain: unix.AF_INET, kind: unix.SOCK_DGRAM, send: ipv4[:15], want: unix.EINVAL},
		{what: "UDP sends, IPv6 cut short", domain: unix.AF_INET6, kind: unix.SOCK_DGRAM, send: ipv6[:23], want: unix.EINVAL},
		{what: "UDP sends to port 0", domain: unix.AF_INET, kind: unix.SOCK_DGRAM,
			send: sockaddr(netip.AddrPortFrom(vip(v4, 1).Addr(), 0), v4), want: unix.EINVAL},
		{what: "UDP-Lite", domain: unix.AF_INET, kind: unix.SOCK_DGRAM, prot: udpLite, connect: ipv4},
		{what: "ICMP echo", domain: unix.AF_INET, kind: unix.SOCK_DGRAM, prot: unix.IPPROTO_ICMP, connect: ipv4},
		{what: "raw", domain: unix.AF_INET, kind: unix.SOCK_RAW, prot: unix.IPPROTO_UDP, connect: ipv4},
	} {
		t.Run(c.what, func(t *testing.T) {
			file, err := r.pod.Socket(t.Context(), c.domain, c.kind, c.prot)
			if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EACCES) {
				t.Skip(err)
			}
			require.NoError(t, err)
			defer file.Close()
			s := plain{t, file, int(file.Fd())}
			before := r.counted(t, bpf.AtConnect, bpf.Balance, bpf.NoDrop) + r.counted(t, bpf.AtSendmsg, bpf.Balance, bpf.NoDrop)
			if c.send != nil {
				err = s.send(c.send)
			} else {
				err = s.connect(c.connect)
			}
			require.Equal(t, c.want, err)
			after := r.counted(t, bpf.AtConnect, bpf.Balance, bpf.NoDrop) + r.counted(t, bpf.AtSendmsg, bpf.Balance, bpf.NoDrop)
			require.EqualValues(t, c.balanced, after-before)
		})
	}
}

// The tables of sockets are bounded. When there are more peers than they hold, those that were not used for longest are
// forgotten: the application then sees the backend, until it sends to the service again.
func TestMoreSocketsThanTheTableHolds(t *testing.T) {
	t.Parallel()
	const room, sockets = 32, 256
	r := newSocketRig(t, room)
	r.echo(t, 53)
	r.serve(t, bpf.UDP, vip(v4, 1), 53)
	var all []plain
	for range sockets {
		s := open(t, r.pod, unix.AF_INET, unix.SOCK_DGRAM, 0)
		require.NoError(t, s.send(sockaddr(vip(v4, 1), v4)))
		answered, err := ready(s.fd, unix.POLLIN, patience) // so many questions would not fit into the buffer of who answers
		require.NoError(t, err)
		require.True(t, answered)
		all = append(all, s)
	}
	peers, err := r.SocketPeers()
	require.NoError(t, err)
	require.LessOrEqual(t, len(peers), room)
	known := map[uint64]bool{}
	for _, p := range peers {
		known[p.Cookie] = true
	}
	for _, s := range all {
		if known[s.cookie()] {
			require.Equal(t, vip(v4, 1), s.from())
		} else {
			require.Equal(t, client.at(v4, 53), s.from(), "the answer came, and what it was asked of is forgotten")
		}
	}
	for _, s := range all {
		require.NoError(t, s.send(sockaddr(vip(v4, 1), v4)))
		require.Equal(t, vip(v4, 1), s.from(), "its own entry is the newest")
	}
}

// A socket that is closed leaves nothing of what it was connected to.
func TestClosedSocketsAreForgotten(t *testing.T) {
	t.Parallel()
	feature.Need(t, feature.SocketCookie)
	r := newSocketRig(t, 64)
	r.echo(t, 53)
	for _, f := range families {
		for kind, p := range map[int]bpf.Protocol{unix.SOCK_STREAM: bpf.TCP, unix.SOCK_DGRAM: bpf.UDP} {
			r.serve(t, p, vip(f, 1), 53)
			s := open(t, r.pod, domains[f], kind, 0)
			require.NoError(t, s.connect(sockaddr(vip(f, 1), f)))
			peers, err := r.SocketPeers()
			require.NoError(t, err)
			require.Len(t, peers, 1)
			require.NoError(t, s.file.Close())
			require.Eventually(t, func() bool { // once the process that made it has closed it, too
				peers, err := r.SocketPeers()
				return err == nil && len(peers) == 0
			}, patience, time.Millisecond)
		}
	}
}

// Before Linux 6.1 a program cannot say why a call fails.
func TestRefusalOnOlderKernels(t *testing.T) {
	t.Parallel()
	r := newSocketRig(t, 64, func(c *bpf.Config) { c.WithoutSetRetval = true })
	require.NoError(t, r.PutService(bpf.Service{Frontend: bpf.Frontend{Addr: vip(v4, 1), Protocol: bpf.TCP}}))
	s := open(t, r.pod, unix.AF_INET, unix.SOCK_STREAM, 0)
	require.Equal(t, unix.EPERM, s.connect(sockaddr(vip(v4, 1), v4)))
	require.EqualValues(t, 1, r.counted(t, bpf.AtConnect, bpf.Drop, bpf.NoBackend))
}

// While a service changes again and again, every datagram to it goes to a backend of before or of after, and never to another
// service's; none is refused, and every answer comes under the service's address.
func TestServicesChangeUnderSockets(t *testing.T) {
	t.Parallel()
	const sockets, datagrams = 4, 300
	r := newSocketRig(t, 1024)
	for port := uint16(53); port <= 56; port++ {
		r.echo(t, port)
	}
	put := func(to netip.AddrPort, ports ...uint16) error {
		var backends []netip.AddrPort
		for _, port := range ports {
			backends = append(backends, client.at(v4, port))
		}
		return r.PutService(bpf.Service{Frontend: bpf.Frontend{Addr: to, Protocol: bpf.UDP}, Backends: at(backends...)})
	}
	require.NoError(t, put(vip(v4, 1), 53))
	require.NoError(t, put(vip(v4, 2), 56))

	const enough = 3
	var changes atomic.Int64
	var sending errgroup.Group
	for range sockets {
		s := open(t, r.pod, unix.AF_INET, unix.SOCK_DGRAM, 0)
		sending.Go(func() error {
			for i := 0; i < datagrams || changes.Load() < enough && t.Context().Err() == nil; i++ {
				to := vip(v4, 1+i%2)
				if err := s.send(sockaddr(to, v4)); err != nil {
					return err
				}
				answer := make([]byte, 2)
				from, err := receiveInto(s.fd, answer)
				if err != nil {
					return err
				}
				if by := binary.BigEndian.Uint16(answer); named(from) != to || (by == 56) != (i%2 == 1) {
					return fmt.Errorf("%s was asked, port %d answered as %s", to, by, named(from))
				}
			}
			return nil
		})
	}
	done := make(chan error, 1)
	go func() { done <- sending.Wait() }()
	for {
		select {
		case err := <-done:
			require.NoError(t, err)
			return
		default:
			require.NoError(t, put(vip(v4, 1), [][]uint16{{53}, {54, 55}}[changes.Load()%2]...))
			changes.Add(1)
		}
	}
}
