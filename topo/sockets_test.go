package topo_test

import (
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/topo"
)

// connected opens a UDP socket on a machine that is connected to an address.
func connected(t testing.TB, m *topo.Machine, to netip.AddrPort) *net.UDPConn {
	t.Helper()
	var conn *net.UDPConn
	require.NoError(t, m.Do(func() (err error) {
		conn, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
		return err
	}))
	t.Cleanup(func() { conn.Close() })
	return conn
}

// cookie is the number by which the kernel knows a socket.
func cookie(t testing.TB, conn *net.UDPConn) (cookie uint64) {
	t.Helper()
	raw, err := conn.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) {
		cookie, err = unix.GetsockoptUint64(int(fd), unix.SOL_SOCKET, unix.SO_COOKIE)
	}))
	require.NoError(t, err)
	return cookie
}

func TestSocketsAreAborted(t *testing.T) {
	t.Parallel()
	network := up(t, topo.Cluster(1))
	client, server := machine(t, network, "client"), machine(t, network, "node1")
	for _, family := range families {
		t.Run(family.String(), func(t *testing.T) {
			listener := listen(t, server, ip(server, family))
			one, other := connected(t, client, addrPort(listener)), connected(t, client, addrPort(listener))
			idle := listen(t, client, ip(client, family))

			unwanted := cookie(t, one)
			reading := make(chan error, 1)
			require.NoError(t, one.SetReadDeadline(time.Now().Add(10*time.Second)))
			go func() {
				_, err := one.Read(make([]byte, 1))
				reading <- err
			}()
			seen := map[uint64]netip.AddrPort{}
			err := client.AbortUDP(func(peer netip.AddrPort, cookie uint64) bool {
				seen[cookie] = peer
				return cookie == unwanted
			})
			require.NoError(t, err)
			require.ErrorIs(t, <-reading, syscall.ECONNABORTED)
			require.Equal(t, addrPort(listener), seen[unwanted])
			require.Equal(t, addrPort(listener), seen[cookie(t, other)])
			require.Zero(t, seen[cookie(t, idle)].Port())

			_, err = other.Write([]byte("alive"))
			require.NoError(t, err)
			text, _ := receive(t, listener)
			require.Equal(t, "alive", text)
			_, err = one.Write([]byte("dead"))
			require.ErrorIs(t, err, syscall.EDESTADDRREQ, "it is connected no more")
		})
	}
}

// An IPv6 socket can be connected to an IPv4 address.
func TestMappedSocketIsAborted(t *testing.T) {
	t.Parallel()
	network := up(t, topo.Cluster(1))
	client, server := machine(t, network, "client"), machine(t, network, "node1")
	fd := -1
	require.NoError(t, client.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		return err
	}))
	defer unix.Close(fd)
	require.NoError(t, unix.Connect(fd, &unix.SockaddrInet6{Port: 9, Addr: server.IPv4().As16()}))
	peer := netip.AddrPortFrom(server.IPv4(), 9)
	require.NoError(t, client.AbortUDP(func(p netip.AddrPort, _ uint64) bool { return p == peer }))
	tv := unix.NsecToTimeval(int64(time.Second))
	require.NoError(t, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv))
	_, err := unix.Read(fd, make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNABORTED)
}
