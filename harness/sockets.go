package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/skbench/skbench/harness/socket"
)

// Sockets returns the process that opens the machine's sockets, started when it
// is first asked for. It ends with the lab.
func (m *Machine) Sockets() (*socket.Process, error) {
	if m.err != nil {
		return nil, m.err
	}
	m.lab.mu.Lock()
	defer m.lab.mu.Unlock()
	if p, ok := m.lab.sockets[m.name]; ok {
		return p, nil
	}
	p, err := socket.Start(m.name, m.net.Start)
	if err != nil {
		return nil, err
	}
	m.lab.sockets[m.name] = p
	return p, nil
}

// DialContext connects from inside the machine. It has the form that
// http.Transport and other libraries take.
func (m *Machine) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	p, err := m.Sockets()
	if err != nil {
		return nil, err
	}
	return p.Dial(ctx, network, address)
}

// Dial connects from inside the machine, "tcp" or "udp", and closes the
// connection when the test ends.
func (m *Machine) Dial(t testing.TB, network string, to netip.AddrPort) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), m.lab.timeout)
	defer cancel()
	conn, err := m.DialContext(ctx, network, to.String())
	if err != nil {
		t.Fatalf("dial from %s: %v\n%s", m.name, m.lab.explain(err), m.lab.captureNote(t))
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// Listen listens for TCP connections on a port of the machine's address of the
// lab's family, until the test ends.
func (m *Machine) Listen(t testing.TB, port uint16) net.Listener {
	t.Helper()
	p, err := m.Sockets()
	if err != nil {
		t.Fatal(err)
	}
	listener, err := p.Listen(t.Context(), "tcp", m.AddrPort(port).String())
	if err != nil {
		t.Fatalf("listen on %s: %v", m.name, err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

// ListenPacket opens a UDP socket on a port of the machine's address of the lab's
// family, until the test ends.
func (m *Machine) ListenPacket(t testing.TB, port uint16) net.PacketConn {
	t.Helper()
	p, err := m.Sockets()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := p.ListenPacket(t.Context(), "udp", m.AddrPort(port).String())
	if err != nil {
		t.Fatalf("listen on %s: %v", m.name, err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// ServeHTTP serves HTTP on a port of the machine until the test ends.
func (m *Machine) ServeHTTP(t testing.TB, port uint16, handler http.Handler) {
	t.Helper()
	server := &http.Server{Handler: handler}
	listener := m.Listen(t, port)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("HTTP server of %s: %v", m.name, err)
		}
	})
}

// Get fetches http://to/ over a new connection from inside the machine and
// returns the body.
func (m *Machine) Get(t testing.TB, to netip.AddrPort) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), m.lab.timeout)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DialContext: m.DialContext, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/", to), nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatalf("from %s: %v\n%s", m.name, m.lab.explain(err), m.lab.captureNote(t))
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("from %s: %v\n%s", m.name, m.lab.explain(err), m.lab.captureNote(t))
	}
	return string(body)
}

// Ping sends an ICMP echo from a raw socket of the machine and returns the time
// until its reply came.
func (m *Machine) Ping(t testing.TB, to netip.Addr) time.Duration {
	t.Helper()
	took, err := m.ping(t.Context(), to)
	if err != nil {
		t.Fatalf("ping %s from %s: %v\n%s", to, m.name, m.lab.explain(err), m.lab.captureNote(t))
	}
	return took
}

func (m *Machine) ping(ctx context.Context, to netip.Addr) (time.Duration, error) {
	p, err := m.Sockets()
	if err != nil {
		return 0, err
	}
	network, protocol := "ip4:icmp", 1
	request, reply := icmp.Type(ipv4.ICMPTypeEcho), icmp.Type(ipv4.ICMPTypeEchoReply)
	if to.Is6() {
		network, protocol = "ip6:ipv6-icmp", 58
		request, reply = ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply
	}
	conn, err := p.ListenPacket(ctx, network, "")
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	echo := &icmp.Echo{ID: os.Getpid() & 0xffff, Seq: int(m.lab.cookies.Add(1) & 0xffff), Data: []byte("ping")}
	message, err := (&icmp.Message{Type: request, Body: echo}).Marshal(nil) // the kernel sums ICMPv6
	if err != nil {
		return 0, err
	}
	start := time.Now()
	if err := conn.SetDeadline(start.Add(m.lab.timeout)); err != nil {
		return 0, err
	}
	if _, err := conn.WriteTo(message, &net.IPAddr{IP: to.AsSlice()}); err != nil {
		return 0, err
	}
	buf := make([]byte, 1500)
	for { // a raw socket gets every ICMP message of the machine
		n, _, err := conn.ReadFrom(buf)
		if err != nil {
			return 0, err
		}
		got, err := icmp.ParseMessage(protocol, buf[:n])
		if err != nil || got.Type != reply {
			continue
		}
		if body, ok := got.Body.(*icmp.Echo); ok && body.ID == echo.ID && body.Seq == echo.Seq {
			return time.Since(start), nil
		}
	}
}
