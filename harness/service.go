package harness

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/skbench/skbench/topo"
)

// Served is a service of a running lab.
type Served struct {
	Service
	lab *Lab
}

// AddService makes the lab serve one more service until the test ends. Cluster
// addresses are given where the description leaves them open: the Nth service
// gets 192.168.0.N and fd00:192:168::N.
func (l *Lab) AddService(t testing.TB, s Service) *Served {
	t.Helper()
	s, err := l.addService(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	served := &Served{Service: s, lab: l}
	t.Cleanup(func() {
		if err := l.removeService(context.Background(), s.Name); err != nil {
			t.Error(err)
		}
	})
	return served
}

// Change makes the lab serve the service as change leaves its description. Flows
// that are under way go on, unless their backend is gone.
func (s *Served) Change(t testing.TB, change func(*Service)) {
	t.Helper()
	s.lab.mu.Lock()
	defer s.lab.mu.Unlock()
	changed := s.Service
	changed.Backends = slices.Clone(s.Backends)
	change(&changed)
	services := slices.Clone(s.lab.services)
	for i := range services {
		if services[i].Name == s.Name {
			services[i] = changed
		}
	}
	if err := s.lab.serveLocked(t.Context(), services); err != nil {
		t.Fatal(err)
	}
	s.Service = changed
}

// AddrPort is the service's cluster address of the lab's family, with its port.
func (s *Served) AddrPort() netip.AddrPort {
	if s.lab.family == topo.IPv6 {
		return netip.AddrPortFrom(s.ClusterIPv6, s.Port.Number)
	}
	return netip.AddrPortFrom(s.ClusterIPv4, s.Port.Number)
}

// Remove makes the lab serve the service no longer.
func (s *Served) Remove(t testing.TB) {
	t.Helper()
	if err := s.lab.removeService(t.Context(), s.Name); err != nil {
		t.Fatal(err)
	}
}

// Serve makes the lab serve exactly these services.
func (l *Lab) Serve(ctx context.Context, services []Service) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.serveLocked(ctx, services)
}

func (l *Lab) addService(ctx context.Context, s Service) (Service, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	number := l.freeNumberLocked()
	if s.Name == "" {
		s.Name = fmt.Sprintf("service%d", number)
	}
	if !s.ClusterIPv4.IsValid() {
		s.ClusterIPv4 = netip.AddrFrom4([4]byte{192, 168, byte(number >> 8), byte(number)})
	}
	if !s.ClusterIPv6.IsValid() {
		s.ClusterIPv6 = netip.MustParseAddr(fmt.Sprintf("fd00:192:168::%d", number))
	}
	return s, l.serveLocked(ctx, append(slices.Clone(l.services), s))
}

// freeNumberLocked is the lowest number, from 1, that names no service's address.
func (l *Lab) freeNumberLocked() int {
	for n := 1; ; n++ {
		addr := netip.AddrFrom4([4]byte{192, 168, byte(n >> 8), byte(n)})
		if !slices.ContainsFunc(l.services, func(s Service) bool { return s.ClusterIPv4 == addr }) {
			return n
		}
	}
}

func (l *Lab) removeService(ctx context.Context, name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	rest := slices.DeleteFunc(slices.Clone(l.services), func(s Service) bool { return s.Name == name })
	return l.serveLocked(ctx, rest)
}

func (l *Lab) serveLocked(ctx context.Context, services []Service) error {
	if err := validate(l.network.Topology(), services); err != nil {
		return err
	}
	if err := l.forwarder.Serve(ctx, services); err != nil {
		return fmt.Errorf("%s datapath: serve %d services: %w", l.datapath.Name(), len(services), err)
	}
	l.services = services
	return nil
}

// Forget ends every flow that the datapath knows, as if none had been.
func (l *Lab) Forget(ctx context.Context) error {
	if err := l.forwarder.Forget(ctx); err != nil {
		return fmt.Errorf("%s datapath: forget flows: %w", l.datapath.Name(), err)
	}
	return nil
}

// Drops tells how many packets the datapath dropped so far: node → reason → packets.
func (l *Lab) Drops(t testing.TB) map[string]map[string]uint64 {
	t.Helper()
	drops, err := l.forwarder.Drops()
	if err != nil {
		t.Fatal(err)
	}
	return drops
}
