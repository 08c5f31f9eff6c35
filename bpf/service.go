package bpf

import (
	"fmt"
	"net/netip"
	"time"
)

// Frontend is what clients of a service address.
type Frontend struct {
	Addr     netip.AddrPort
	Protocol Protocol // TCP or UDP
}

func (f Frontend) String() string { return fmt.Sprintf("%s %s", f.Protocol, f.Addr) }

// Service is a frontend and its backends. A service that Kubernetes reaches in several ways (ClusterIP, NodePort on each
// address of the node) is several of these.
type Service struct {
	Frontend
	Backends []Backend // none: packets are refused, see [NoBackend]
	External bool      // also for packets from outside, as a NodePort is; a ClusterIP is for pods alone

	// Only backends of this node: for the world, and for pods and nodes. A packet that this leaves without a backend is
	// dropped, see [NoLocalBackend].
	ExternalLocal, InternalLocal bool

	Affinity time.Duration  // a client keeps its backend for so long after its last flow, in steps of 1 ms; 0: every flow chooses
	Group    string         // services of one group share what affinity remembers, as the frontends of one Kubernetes service do
	Sources  []netip.Prefix // who may use the service, of the frontend's family; none: everyone. Others see [SourceRange]

	// NodePort: every node has the same service at this port of its own addresses. Sockets find it by those of other nodes too.
	NodePort bool

	// DSR: packets from outside for backends on other machines go there encapsulated, and answers come from there, past
	// this node. The backend's node must expect them ([Node.PutDirect]); it may be reached by the other family.
	DSR bool

	// Maglev is the size of the Maglev table by which flows choose: a prime from MinMaglev to MaxMaglev, better 100 times the
	// backends or more. 0: flows spread over the backends at random, by a hash of their tuple.
	Maglev int
}

// Backend is where a service leads to.
type Backend struct {
	Addr        netip.AddrPort // of the frontend's family
	Local       bool           // runs on this node
	Terminating bool           // gets new flows only while there is no other to choose; flows that it has stay
}

// check says what is wrong with a service, in one sentence.
func (s Service) check() error {
	problem := func() error {
		switch {
		case !s.Addr.IsValid() || s.Addr.Port() == 0:
			return fmt.Errorf("it has no address or port: give both")
		case s.Protocol != TCP && s.Protocol != UDP:
			return fmt.Errorf("protocol %s is not balanced: give TCP or UDP", s.Protocol)
		case len(s.Backends) > maxBackends:
			return fmt.Errorf("it has %d backends: give at most %d", len(s.Backends), maxBackends)
		case s.Affinity < 0 || s.Affinity > maxAffinity:
			return fmt.Errorf("affinity for %s: give at most %s", s.Affinity, maxAffinity)
		}
		if err := s.checkBackends(); err != nil {
			return err
		}
		for _, source := range s.Sources {
			if !source.IsValid() || source.Addr().Is4() != s.Addr.Addr().Is4() {
				return fmt.Errorf("source range %s is none of its family: give prefixes of the frontend's", source)
			}
		}
		return checkMaglev(s.Maglev, len(s.Backends))
	}
	if err := problem(); err != nil {
		return fmt.Errorf("bpf: service %s: %w", s.Frontend, err)
	}
	return nil
}

func (s Service) checkBackends() error {
	seen, hosts := map[netip.AddrPort]bool{}, map[netip.Addr]bool{}
	for _, b := range s.Backends {
		switch {
		case !b.Addr.IsValid() || b.Addr.Port() == 0:
			return fmt.Errorf("backend %s has no address or port: give both", b.Addr)
		case b.Addr.Addr().Is4() != s.Addr.Addr().Is4() && !s.DSR:
			return fmt.Errorf("backend %s is of the other family: give each family a service of its own", b.Addr)
		case b.Addr == s.Addr:
			return fmt.Errorf("it is its own backend: give the address of a pod or node")
		case seen[b.Addr]:
			return fmt.Errorf("backend %s is there twice", b.Addr)
		case hosts[b.Addr.Addr()] && s.DSR:
			return fmt.Errorf("%s has two backends, which direct server return cannot tell apart: give one port", b.Addr.Addr())
		}
		seen[b.Addr], hosts[b.Addr.Addr()] = true, true
	}
	return nil
}

const (
	maxBackends = 1<<16 - 1
	maxAffinity = 49 * 24 * time.Hour // struct service counts milliseconds in 32 bits
)

// inside are the backends for new flows of pods and nodes, outside those for the world's.
func (s Service) inside() []netip.AddrPort  { return s.candidates(s.InternalLocal) }
func (s Service) outside() []netip.AddrPort { return s.candidates(s.ExternalLocal) }

// candidates are the backends that new flows may choose from: those that stay, or if there is none, those that are leaving.
func (s Service) candidates(local bool) []netip.AddrPort {
	var staying, leaving []netip.AddrPort
	for _, b := range s.Backends {
		switch {
		case local && !b.Local:
		case b.Terminating:
			leaving = append(leaving, b.Addr)
		default:
			staying = append(staying, b.Addr)
		}
	}
	if len(staying) == 0 {
		return leaving
	}
	return staying
}

func (f Frontend) raw() hostFrontend {
	return hostFrontend{Addr: rawAddr(f.Addr.Addr()), Port: rawPort(f.Addr.Port()), Proto: uint8(f.Protocol)}
}
