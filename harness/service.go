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
	if err := l.validate(services); err != nil {
		return err
	}
	if err := l.forwarder.Serve(ctx, services); err != nil {
		return fmt.Errorf("%s datapath: serve %d services: %w", l.datapath.Name(), len(services), err)
	}
	l.services = services
	return nil
}

// validate says what is wrong with a set of services, in one sentence.
func (l *Lab) validate(services []Service) error {
	names, frontends := map[string]bool{}, map[string]string{}
	for _, s := range services {
		switch {
		case names[s.Name]:
			return fmt.Errorf("two services are called %q: give one of them another name", s.Name)
		case s.Port.Number == 0:
			return fmt.Errorf("service %q has no port: say packet.TCPPort or packet.UDPPort", s.Name)
		}
		names[s.Name] = true
		for _, frontend := range s.frontends() {
			if other, taken := frontends[frontend]; taken {
				return fmt.Errorf("services %q and %q are both at %s: change one", other, s.Name, frontend)
			}
			frontends[frontend] = s.Name
		}
		for _, b := range s.Backends {
			switch {
			case !b.IPv4.Is4() || !b.IPv6.Is6():
				return fmt.Errorf("service %q: backend %q has no address: is it a pod of this lab?", s.Name, b.Pod)
			case b.Port == 0:
				return fmt.Errorf("service %q: backend %q has no port", s.Name, b.Pod)
			}
		}
	}
	return nil
}

// frontends names where a service is reached, for comparison with others.
func (s Service) frontends() []string {
	var where []string
	for _, addr := range slices.Concat([]netip.Addr{s.ClusterIPv4, s.ClusterIPv6}, s.ExternalIPs, s.LoadBalancerIPs) {
		if addr.IsValid() {
			where = append(where, fmt.Sprintf("%s %s", addr, s.Port))
		}
	}
	if s.NodePort != 0 {
		where = append(where, fmt.Sprintf("node port %d/%s", s.NodePort, s.Port.Protocol))
	}
	if s.HostPort != 0 {
		for _, b := range s.Backends {
			where = append(where, fmt.Sprintf("host port %d/%s of %s", s.HostPort, s.Port.Protocol, b.Node))
		}
	}
	return where
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
