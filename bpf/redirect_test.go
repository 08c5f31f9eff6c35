package bpf_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/bpf"
)

// ways is what the messages of one step must have done.
type ways = map[bpf.MessageWay]uint64

// TestHandOver has data on its way through the stack when a session begins to be redirected: what is redirected must not
// overtake it.
func TestHandOver(t *testing.T) {
	t.Parallel()
	s := newSessions(t, bpf.Options{Sizes: smallMaps})
	var m bpf.SessionMetrics
	s.went(t, &m)
	for _, f := range families {
		// The client is established before there is a socket at the other end: the listener waits for data first.
		t.Run(fmt.Sprintf("%s/one end is followed first", f), func(t *testing.T) {
			listener := s.listen(t, f, "b")
			onSocket(t, listener.(syscall.Conn), func(fd int) error {
				return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 10)
			})
			client := s.dial(t, "a", listener.Addr())
			say(t, client, "first ")
			require.Equal(t, ways{bpf.MessageAlone: 1}, s.went(t, &m))
			server := accept(t, listener)
			say(t, client, "second ")
			require.Equal(t, ways{bpf.MessageUnread: 1}, s.went(t, &m), "the first message is not read yet")
			hear(t, server, "first second ")
			say(t, client, "third")
			require.Equal(t, ways{bpf.MessageRedirected: 1}, s.went(t, &m))
			hear(t, server, "third")
			say(t, server, "answer")
			require.Equal(t, ways{bpf.MessageRedirected: 1}, s.went(t, &m), "the other direction had nothing in the stack")
			hear(t, client, "answer")
		})
		t.Run(fmt.Sprintf("%s/back and forth", f), func(t *testing.T) {
			client, server := s.connect(t, f, "a", "b")
			say(t, client, "socket ")
			require.NoError(t, s.StopRedirecting())
			say(t, client, "stack ")
			require.NoError(t, s.ResumeRedirecting())
			say(t, client, "again ")
			hear(t, server, "socket stack ")
			say(t, client, "and again ")
			hear(t, server, "again and again ")
			say(t, client, "socket")
			hear(t, server, "socket")
			require.Equal(t, ways{bpf.MessageRedirected: 2, bpf.MessageStopped: 1, bpf.MessageUnread: 2}, s.went(t, &m))
		})
		// recv(2) that has taken bytes from the stack and wants more sleeps where only the stack wakes it.
		t.Run(fmt.Sprintf("%s/a reader waits for more", f), func(t *testing.T) {
			client, server := s.connect(t, f, "a", "b")
			require.NoError(t, s.StopRedirecting())
			say(t, client, "half ")
			poll(t, server, unix.POLLIN)
			got := make(chan string)
			go func() { got <- receiveAll(server, 10) }()
			require.Eventually(t, func() bool { return !readable(t, server) }, patience, time.Millisecond)
			require.NoError(t, s.ResumeRedirecting())
			say(t, client, "whole")
			require.Equal(t, ways{bpf.MessageStopped: 1, bpf.MessageAwaited: 1}, s.went(t, &m))
			require.Equal(t, "half whole", <-got)
			say(t, client, "more")
			require.Equal(t, ways{bpf.MessageRedirected: 1}, s.went(t, &m))
		})
	}
}

// TestStreamsChangeTheirWay writes and reads in pieces of all sizes, both ways at once, while redirecting is stopped and
// resumed: not a byte may be out of its place.
func TestStreamsChangeTheirWay(t *testing.T) {
	t.Parallel()
	s := newSessions(t, bpf.Options{Sizes: smallMaps})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	const bytes = 8 << 20
	var everyone sync.WaitGroup
	for i := range 3 {
		for _, f := range families {
			client, server := s.connect(t, f, "a", "b")
			for j, way := range []struct{ from, to *net.TCPConn }{{client, server}, {server, client}} {
				random := rand.New(rand.NewPCG(seed, uint64(2*i+j)))
				data := stream(bytes)
				everyone.Go(func() {
					for rest := data; len(rest) > 0; {
						switch random.IntN(8) {
						case 0:
							s.StopRedirecting()
						case 1, 2:
							s.ResumeRedirecting()
						}
						n := min(len(rest), piece(random))
						if _, err := way.from.Write(rest[:n]); err != nil {
							t.Errorf("write: %v", err)
							break
						}
						rest = rest[n:]
					}
					way.from.CloseWrite()
				})
				reads := rand.New(rand.NewPCG(seed, uint64(100+2*i+j)))
				everyone.Go(func() {
					got := make([]byte, 0, bytes)
					for {
						n, err := way.to.Read(got[len(got):min(cap(got), len(got)+piece(reads))])
						got = got[:len(got)+n]
						if err == io.EOF || len(got) == cap(got) {
							break
						}
						if err != nil {
							t.Errorf("read: %v", err)
							break
						}
					}
					same(t, data, got)
				})
			}
		}
	}
	everyone.Wait()
	metrics, err := s.SessionMetrics()
	require.NoError(t, err)
	for _, way := range []bpf.MessageWay{bpf.MessageRedirected, bpf.MessageStopped, bpf.MessageUnread} {
		require.Positive(t, metrics.Messages[way].Messages, "%s in %v", way, metrics.Messages)
	}
}

// piece is a size between 1 byte and 128 KiB, small ones as likely as large ones.
func piece(random *rand.Rand) int { return 1 + random.IntN(1<<random.IntN(18)) }

// TestDetachedInMidStream lets go of everything while a session is redirected, with data that is not read.
func TestDetachedInMidStream(t *testing.T) {
	t.Parallel()
	s := newSessions(t, bpf.Options{Sizes: smallMaps})
	type end struct{ client, server *net.TCPConn }
	ends := map[family]end{}
	data := stream(16 << 20)
	const before = 100000
	for _, f := range families {
		client, server := s.connect(t, f, "a", "b")
		ends[f] = end{client, server}
		_, err := client.Write(data[:before])
		require.NoError(t, err)
	}
	var m bpf.SessionMetrics
	require.Equal(t, ways{bpf.MessageRedirected: 2}, s.went(t, &m))
	require.NoError(t, s.followed.Close())
	require.NoError(t, s.Node.Close())
	for f, e := range ends {
		t.Run(string(f), func(t *testing.T) {
			write(t, e.client, data[before:])
			got, err := io.ReadAll(e.server)
			require.NoError(t, err)
			same(t, data, got)
			say(t, e.server, "good bye")
			hear(t, e.client, "good bye")
		})
	}
}

// TestProgramsReplaced has the sessions of one set of programs go on beside those of the next.
func TestProgramsReplaced(t *testing.T) {
	t.Parallel()
	s := newSessions(t, bpf.Options{Sizes: smallMaps})
	client, server := s.connect(t, v4, "a", "b")
	say(t, client, "old ")

	next, err := bpf.LoadSessions(bpf.Options{Sizes: smallMaps})
	require.NoError(t, err)
	defer next.Close()
	for _, pod := range s.network.Topology().Pods[:2] {
		require.NoError(t, next.PutEndpoint(bpf.Endpoint{Device: 1, MAC: pod.MAC, DeviceMAC: pod.DeviceMAC, IPv4: pod.IPv4, IPv6: pod.IPv6}))
	}
	require.NoError(t, s.followed.Close())
	s.follow(t, next)
	require.NoError(t, s.Node.Close())

	say(t, client, "session")
	hear(t, server, "old session")
	newClient, newServer := s.connect(t, v4, "a", "b")
	say(t, newClient, "new session")
	hear(t, newServer, "new session")
	metrics, err := next.SessionMetrics()
	require.NoError(t, err)
	require.Equal(t, bpf.Traffic{Messages: 1, Bytes: 11}, metrics.Messages[bpf.MessageRedirected])
}

// TestSessionsWithTLS has the kernel encrypt what one end writes: the other end must get it so.
func TestSessionsWithTLS(t *testing.T) {
	t.Parallel()
	s := newSessions(t, bpf.Options{Sizes: smallMaps})
	const tls12, aesGCM128, solTLS, tlsTX = 0x0303, 51, 282, 1
	keys := make([]byte, 40) // struct tls12_crypto_info_aes_gcm_128: version, cipher, then an IV, a key, a salt, a number
	binary.NativeEndian.PutUint16(keys, tls12)
	binary.NativeEndian.PutUint16(keys[2:], aesGCM128)
	for _, f := range families {
		for _, encrypted := range []string{"client", "server"} {
			t.Run(fmt.Sprintf("%s/%s", f, encrypted), func(t *testing.T) {
				client, server := s.connect(t, f, "a", "b")
				say(t, client, "in the open")
				hear(t, server, "in the open")
				from, to := client, server
				if encrypted == "server" {
					from, to = server, client
				}
				onSocket(t, from, func(fd int) error {
					if err := unix.SetsockoptString(fd, unix.SOL_TCP, unix.TCP_ULP, "tls"); err != nil {
						t.Skipf("the kernel has no TLS (CONFIG_TLS, Linux 4.13): %v", err)
					}
					err := unix.SetsockoptString(fd, solTLS, tlsTX, string(keys))
					if errors.Is(err, unix.EINVAL) {
						t.Skipf("the kernel gives sockets in a sockhash no TLS: %v", err)
					}
					return err
				})
				var m bpf.SessionMetrics
				s.went(t, &m)
				say(t, from, "a secret")
				record := make([]byte, 5+8+len("a secret")+16) // header, nonce, text, tag
				_, err := io.ReadFull(to, record)
				require.NoError(t, err)
				require.Equal(t, []byte{23, 3, 3, 0, byte(len(record) - 5)}, record[:5])
				say(t, to, "to one who may decrypt")
				require.Equal(t, ways{bpf.MessageWrapped: 2}, s.went(t, &m))
			})
		}
	}
}

// TestSessionsOnWire has a pod whose packets must be seen: its sessions go through the stack, and its processes may read
// as they like.
func TestSessionsOnWire(t *testing.T) {
	t.Parallel()
	s := newSessions(t, bpf.Options{Sizes: smallMaps}, func(e *bpf.Endpoint) { e.OnWire = e.IPv4 == podB.ipv4 })
	capture := s.capture(t)
	var m bpf.SessionMetrics
	for _, f := range families {
		t.Run(string(f), func(t *testing.T) {
			s.went(t, &m)
			onWire := m.Sessions[bpf.SessionOnWire]
			client, server := s.connect(t, f, "a", "b")
			data := stream(50000)
			write(t, client, data)
			got, err := io.ReadAll(server)
			require.NoError(t, err)
			same(t, data, got)
			require.Empty(t, s.went(t, &m))
			require.Equal(t, uint64(2), m.Sessions[bpf.SessionOnWire]-onWire)
			require.NoError(t, capture.Sync(t.Context()))
			require.GreaterOrEqual(t, s.carried.Swap(0), int64(len(data)))
		})
	}
}

// TestSessionsThatDoNotFit has room for the two ends of one session: the next one goes through the stack.
func TestSessionsThatDoNotFit(t *testing.T) {
	t.Parallel()
	sizes := smallMaps
	sizes.Sessions = 2
	s := newSessions(t, bpf.Options{Sizes: sizes})
	first, firstPeer := s.connect(t, v4, "a", "b")
	second, secondPeer := s.connect(t, v6, "a", "b")
	say(t, second, "by stack")
	hear(t, secondPeer, "by stack")
	say(t, first, "by socket")
	hear(t, firstPeer, "by socket")
	metrics, err := s.SessionMetrics()
	require.NoError(t, err)
	require.Equal(t, bpf.SessionMetrics{
		Sessions: map[bpf.SessionFate]uint64{bpf.SessionFollowed: 2, bpf.SessionRefused: 2},
		Messages: map[bpf.MessageWay]bpf.Traffic{bpf.MessageRedirected: {Messages: 1, Bytes: 9}},
	}, metrics)

	require.NoError(t, first.Close())
	require.NoError(t, firstPeer.Close())
	require.Eventually(t, func() bool { // the processes that made the sockets have let go of them too
		return errors.Is(s.Maps.Sessions.NextKey(nil, make([]byte, s.Maps.Sessions.KeySize())), ebpf.ErrKeyNotExist)
	}, patience, time.Millisecond)
	third, thirdPeer := s.connect(t, v4, "a", "b")
	say(t, third, "by socket again")
	hear(t, thirdPeer, "by socket again")
	metrics, err = s.SessionMetrics()
	require.NoError(t, err)
	require.Equal(t, uint64(4), metrics.Sessions[bpf.SessionFollowed], "the room of a closed session is free")
}

// TestDeadSessionOfTheSameAddresses has a socket that was reset and not closed yet, while a new session has its addresses:
// what is for one never gets to the other.
func TestDeadSessionOfTheSameAddresses(t *testing.T) {
	t.Parallel()
	s := newSessions(t, bpf.Options{Sizes: smallMaps})
	podA, _ := s.network.Machine("a")
	require.NoError(t, podA.Sysctl("net.ipv4.ip_local_port_range", "40000 40000")) // of both families
	for _, f := range families {
		t.Run(string(f), func(t *testing.T) {
			listener := s.listen(t, f, "b")
			client := s.dial(t, "a", listener.Addr())
			dead := accept(t, listener)
			say(t, client, "from the dead")
			from := client.LocalAddr()
			require.NoError(t, client.SetLinger(0))
			require.NoError(t, client.Close())
			poll(t, dead, unix.POLLERR)

			var m bpf.SessionMetrics
			s.went(t, &m)
			client = s.dial(t, "a", listener.Addr())
			require.Equal(t, from, client.LocalAddr())
			server := accept(t, listener)
			say(t, client, "from the living")
			hear(t, server, "from the living")
			require.Equal(t, ways{bpf.MessageClosing: 1}, s.went(t, &m))
			hear(t, dead, "from the dead")
		})
	}
}

// TestDualStackListener has a listener for both families: an IPv4 session has an IPv6 socket at that end.
func TestDualStackListener(t *testing.T) {
	t.Parallel()
	s := newSessions(t, bpf.Options{Sizes: smallMaps})
	listener, err := s.sockets["b"].Listen(t.Context(), "tcp", ":0")
	require.NoError(t, err)
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	for _, f := range families {
		t.Run(string(f), func(t *testing.T) {
			var m bpf.SessionMetrics
			s.went(t, &m)
			client := s.dial(t, "a", &net.TCPAddr{IP: s.addr("b", f).AsSlice(), Port: port})
			server := accept(t, listener)
			require.Equal(t, client.LocalAddr().String(), server.RemoteAddr().String())
			say(t, client, "hello")
			hear(t, server, "hello")
			require.Equal(t, ways{bpf.MessageRedirected: 1}, s.went(t, &m))
		})
	}
}

func say(t testing.TB, conn *net.TCPConn, words string) {
	t.Helper()
	_, err := conn.Write([]byte(words))
	require.NoError(t, err)
}

// hear reads the words, and nothing beyond them.
func hear(t testing.TB, conn *net.TCPConn, words string) {
	t.Helper()
	got := make([]byte, len(words))
	n, err := io.ReadFull(conn, got)
	require.NoError(t, err, "after %q", got[:n])
	require.Equal(t, words, string(got))
}

// receiveAll reads so many bytes in one system call that blocks.
func receiveAll(conn *net.TCPConn, bytes int) string {
	file, err := conn.File()
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	got := make([]byte, bytes)
	n, _, err := unix.Recvfrom(int(file.Fd()), got, unix.MSG_WAITALL) // Fd makes it a blocking one
	if err != nil {
		return err.Error()
	}
	return string(got[:n])
}

// readable tells whether there is something to read at this moment.
func readable(t testing.TB, conn *net.TCPConn) (yes bool) {
	t.Helper()
	onSocket(t, conn, func(fd int) (err error) {
		yes, err = ready(fd, unix.POLLIN, 0)
		return err
	})
	return yes
}
