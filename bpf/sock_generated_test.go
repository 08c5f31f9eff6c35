package bpf_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/skbench/skbench/bpf"
)

const (
	generatedServices = 3 // of each family
	generatedPorts    = 4 // of the client, from port 53 on
)

// TestGeneratedSockets holds what UDP sockets are told against a model, over random sequences of calls and of changes of
// services: who answers and under which address, which backend they keep, and which of them are stranded.
func TestGeneratedSockets(t *testing.T) {
	t.Parallel()
	r := newSocketRig(t, 4096)
	for port := range uint16(generatedPorts) {
		r.echo(t, 53+port)
	}
	checkGenerated(t, func(tb testing.TB, rt *rapid.T) {
		g := newGeneratedSockets(tb, r)
		defer g.close()
		rt.Repeat(map[string]func(*rapid.T){
			"serve":      g.serve,
			"send":       g.send,
			"send more":  g.send,
			"connect":    g.connect,
			"disconnect": g.disconnect,
			"go on":      g.goOn,
			"":           func(*rapid.T) { g.checkStranded() },
		})
	})
}

// generatedSockets is one sequence: the programs, and the model that knows what they did.
type generatedSockets struct {
	t       testing.TB
	rig     *socketRig
	served  map[netip.AddrPort][]netip.AddrPort
	sockets []*modelSocket
}

// modelSocket is a UDP socket, and what is known of it.
type modelSocket struct {
	plain
	family                                      // of the addresses that it uses
	mapped    bool                              // an IPv6 socket that uses IPv4 addresses
	named     map[netip.AddrPort]netip.AddrPort // backend → the service as it was last named
	kept      map[netip.AddrPort]netip.AddrPort // service → backend for what is sent without being connected
	connected netip.AddrPort                    // to a backend; zero: it is not
}

func newGeneratedSockets(t testing.TB, r *socketRig) *generatedSockets {
	require.NoError(t, r.ForgetSockets())
	g := &generatedSockets{t: t, rig: r, served: map[netip.AddrPort][]netip.AddrPort{}}
	for _, f := range families {
		for number := range generatedServices {
			g.put(vip(f, number), []netip.AddrPort{client.at(f, 53)})
		}
	}
	for _, s := range []*modelSocket{{family: v4}, {family: v6}, {family: v4, mapped: true}} {
		domain := domains[s.family]
		if s.mapped {
			domain = unix.AF_INET6
		}
		s.plain = open(t, r.pod, domain, unix.SOCK_DGRAM, 0)
		s.named, s.kept = map[netip.AddrPort]netip.AddrPort{}, map[netip.AddrPort]netip.AddrPort{}
		g.sockets = append(g.sockets, s)
	}
	return g
}

func (g *generatedSockets) close() {
	for _, s := range g.sockets {
		s.file.Close()
	}
}

func (g *generatedSockets) put(to netip.AddrPort, backends []netip.AddrPort) {
	require.NoError(g.t, g.rig.PutService(bpf.Service{
		Frontend: bpf.Frontend{Addr: to, Protocol: bpf.UDP}, Backends: at(backends...),
	}))
	g.served[to] = backends
	for _, s := range g.sockets {
		if !slices.Contains(backends, s.kept[to]) {
			delete(s.kept, to)
		}
	}
}

// serve gives a service other backends, perhaps none.
func (g *generatedSockets) serve(rt *rapid.T) {
	f := rapid.SampledFrom(families).Draw(rt, "family")
	var backends []netip.AddrPort
	for port := range uint16(generatedPorts) {
		if rapid.Bool().Draw(rt, "backend") {
			backends = append(backends, client.at(f, 53+port))
		}
	}
	g.put(vip(f, rapid.IntRange(0, generatedServices-1).Draw(rt, "service")), backends)
}

// draw picks a socket, and for it a service or the client's own address.
func (g *generatedSockets) draw(rt *rapid.T) (*modelSocket, netip.AddrPort) {
	s := rapid.SampledFrom(g.sockets).Draw(rt, "socket")
	if rapid.IntRange(0, 3).Draw(rt, "directly") == 0 {
		return s, client.at(s.family, 53+uint16(rapid.IntRange(0, generatedPorts-1).Draw(rt, "port")))
	}
	return s, vip(s.family, rapid.IntRange(0, generatedServices-1).Draw(rt, "service"))
}

// sockaddr is an address as the socket has it.
func (s *modelSocket) sockaddr(to netip.AddrPort) []byte {
	if s.mapped {
		return sockaddr(netip.AddrPortFrom(netip.AddrFrom16(to.Addr().As16()), to.Port()), v6)
	}
	return sockaddr(to, s.family)
}

// answer takes the next datagram: under which address it came, and which backend sent it.
func (g *generatedSockets) answer(s *modelSocket) (from, by netip.AddrPort) {
	from, port := s.receive()
	require.Equal(g.t, s.mapped, from.Addr().Is4In6())
	return netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), client.at(s.family, port)
}

// send sends to an address from a socket that is not connected.
func (g *generatedSockets) send(rt *rapid.T) {
	s, to := g.draw(rt)
	if s.connected.IsValid() {
		return // only its peer's answers would come in
	}
	backends, isService := g.served[to]
	err := s.send(s.sockaddr(to))
	if isService && len(backends) == 0 {
		require.Error(g.t, err)
		return
	}
	require.NoError(g.t, err)
	from, by := g.answer(s)
	require.Equal(g.t, to, from)
	if !isService {
		require.Equal(g.t, to, by)
		delete(s.named, by)
		return
	}
	require.Contains(g.t, backends, by)
	if kept, ok := s.kept[to]; ok {
		require.Equal(g.t, kept, by)
	}
	s.kept[to], s.named[by] = by, to
}

// connect connects a socket, which may be connected already, and asks who is there.
func (g *generatedSockets) connect(rt *rapid.T) {
	s, to := g.draw(rt)
	backends, isService := g.served[to]
	err := s.plain.connect(s.sockaddr(to))
	if isService && len(backends) == 0 {
		require.Error(g.t, err)
		return
	}
	require.NoError(g.t, err)
	require.NoError(g.t, s.plain.send(nil))
	from, by := g.answer(s)
	require.Equal(g.t, to, from)
	s.connected = by
	if isService {
		require.Contains(g.t, backends, by)
		s.named[by] = to
	} else {
		require.Equal(g.t, to, by)
		delete(s.named, by)
	}
}

func (g *generatedSockets) disconnect(rt *rapid.T) {
	s := rapid.SampledFrom(g.sockets).Draw(rt, "socket")
	require.NoError(g.t, s.plain.connect(make([]byte, 16)))
	s.connected = netip.AddrPort{}
}

// goOn sends from a socket that is connected: to whom it was connected, whatever became of the service.
func (g *generatedSockets) goOn(rt *rapid.T) {
	s := rapid.SampledFrom(g.sockets).Draw(rt, "socket")
	if !s.connected.IsValid() {
		return
	}
	known := s.connected
	if named, ok := s.named[known]; ok {
		known = named
	}
	require.NoError(g.t, s.plain.send(nil))
	from, by := g.answer(s)
	require.Equal(g.t, s.connected, by)
	require.Equal(g.t, known, from)
	peer := s.peer()
	require.Equal(g.t, known, netip.AddrPortFrom(peer.Addr().Unmap(), peer.Port()))
}

func (g *generatedSockets) checkStranded() {
	var want []bpf.SocketPeer
	for _, s := range g.sockets {
		for backend, service := range s.named {
			if !slices.Contains(g.served[service], backend) {
				want = append(want, bpf.SocketPeer{Cookie: s.cookie(), Protocol: bpf.UDP, Named: service, Backend: backend})
			}
		}
	}
	got, err := g.rig.StrandedSockets()
	require.NoError(g.t, err)
	require.ElementsMatch(g.t, want, got)
}
