package bpf

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"github.com/cilium/ebpf"
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
	Backends []netip.AddrPort // of the frontend's family; none: packets are dropped with [NoBackend]
	External bool             // also for packets from outside, as a NodePort is; a ClusterIP is for pods alone
}

// serviceTable is what this process wrote to the maps services, slots and backends. The protocol by which they change is
// in lib/lb.h. Numbers of sets and backends are never used twice.
type serviceTable struct {
	mu          sync.Mutex
	installed   map[Frontend]slotSet
	backends    map[Frontend]*usedBackend
	lastSet     uint32
	lastBackend uint32
}

type slotSet struct {
	number   uint32
	backends []Frontend // by slot
}

type usedBackend struct {
	number uint32
	slots  int
}

// PutService installs or replaces a service at once: each packet sees the backends of before or of after. Running flows
// keep their backend.
func (n *Node) PutService(s Service) error {
	if err := s.check(); err != nil {
		return err
	}
	t := &n.services
	t.mu.Lock()
	defer t.mu.Unlock()

	set, err := n.addSlots(s)
	if err != nil {
		return fmt.Errorf("bpf: service %s: %w", s.Frontend, err)
	}
	value := hostService{Set: set.number, Count: uint16(len(set.backends))}
	if s.External {
		value.Flags |= hostServiceFlagSERVICE_EXTERNAL
	}
	if err := n.Maps.Services.Put(s.Frontend.raw(), value); err != nil {
		return fmt.Errorf("bpf: service %s: %w", s.Frontend, errors.Join(err, n.removeSlots(set)))
	}
	old := t.installed[s.Frontend]
	if t.installed == nil {
		t.installed = map[Frontend]slotSet{}
	}
	t.installed[s.Frontend] = set
	if err := n.removeSlots(old); err != nil {
		return fmt.Errorf("bpf: service %s: %w", s.Frontend, err)
	}
	return nil
}

// DeleteService removes a service. One that is not known is no error. Running flows keep their backend.
func (n *Node) DeleteService(f Frontend) error {
	t := &n.services
	t.mu.Lock()
	defer t.mu.Unlock()

	set, known := t.installed[f]
	if !known {
		return nil
	}
	if err := n.Maps.Services.Delete(f.raw()); err != nil {
		return fmt.Errorf("bpf: service %s: %w", f, err)
	}
	delete(t.installed, f)
	if err := n.removeSlots(set); err != nil {
		return fmt.Errorf("bpf: service %s: %w", f, err)
	}
	return nil
}

func (s Service) check() error {
	if !s.Addr.IsValid() || s.Addr.Port() == 0 {
		return fmt.Errorf("bpf: service %s has no address or port: give both", s.Frontend)
	}
	if s.Protocol != TCP && s.Protocol != UDP {
		return fmt.Errorf("bpf: service %s: protocol %s is not balanced: give TCP or UDP", s.Frontend, s.Protocol)
	}
	if len(s.Backends) > maxBackends {
		return fmt.Errorf("bpf: service %s has %d backends: give at most %d", s.Frontend, len(s.Backends), maxBackends)
	}
	for _, b := range s.Backends {
		if !b.IsValid() || b.Port() == 0 {
			return fmt.Errorf("bpf: service %s: backend %s has no address or port: give both", s.Frontend, b)
		}
		if b.Addr().Is4() != s.Addr.Addr().Is4() {
			return fmt.Errorf("bpf: service %s: backend %s is of the other family: give each family a service of its own", s.Frontend, b)
		}
		if b == s.Addr {
			return fmt.Errorf("bpf: service %s is its own backend: give the address of a pod or node", s.Frontend)
		}
	}
	return nil
}

const maxBackends = 1<<16 - 1 // struct service counts slots in 16 bits

// addSlots writes the slots of s under a new number, with the backends they name. On error nothing is left.
func (n *Node) addSlots(s Service) (slotSet, error) {
	t := &n.services
	t.lastSet++
	set := slotSet{number: t.lastSet}
	for _, addr := range s.Backends {
		backend := Frontend{Addr: addr, Protocol: s.Protocol}
		number, err := n.useBackend(backend)
		if err != nil {
			return slotSet{}, errors.Join(err, n.removeSlots(set))
		}
		key := hostSlot{Set: set.number, Index: uint32(len(set.backends))}
		set.backends = append(set.backends, backend)
		if err := n.Maps.Slots.Put(key, number); err != nil {
			return slotSet{}, errors.Join(fmt.Errorf("slot %d: %w", key.Index, err), n.removeSlots(set))
		}
	}
	return set, nil
}

func (n *Node) removeSlots(set slotSet) error {
	var errs []error
	for i, backend := range set.backends {
		err := n.Maps.Slots.Delete(hostSlot{Set: set.number, Index: uint32(i)})
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			errs = append(errs, fmt.Errorf("slot %d: %w", i, err))
		}
		errs = append(errs, n.dropBackend(backend))
	}
	return errors.Join(errs...)
}

// useBackend returns the number of a backend and counts one slot more for it.
func (n *Node) useBackend(b Frontend) (uint32, error) {
	t := &n.services
	if used := t.backends[b]; used != nil {
		used.slots++
		return used.number, nil
	}
	t.lastBackend++
	value := hostBackend{Addr: rawAddr(b.Addr.Addr()), Port: rawPort(b.Addr.Port()), Proto: uint8(b.Protocol)}
	if err := n.Maps.Backends.Put(t.lastBackend, value); err != nil {
		return 0, fmt.Errorf("backend %s: %w", b, err)
	}
	if t.backends == nil {
		t.backends = map[Frontend]*usedBackend{}
	}
	t.backends[b] = &usedBackend{number: t.lastBackend, slots: 1}
	return t.lastBackend, nil
}

// dropBackend counts one slot less for a backend, and removes it with its last.
func (n *Node) dropBackend(b Frontend) error {
	t := &n.services
	used := t.backends[b]
	used.slots--
	if used.slots > 0 {
		return nil
	}
	delete(t.backends, b)
	if err := n.Maps.Backends.Delete(used.number); err != nil {
		return fmt.Errorf("backend %s: %w", b, err)
	}
	return nil
}

func (f Frontend) raw() hostFrontend {
	return hostFrontend{Addr: rawAddr(f.Addr.Addr()), Port: rawPort(f.Addr.Port()), Proto: uint8(f.Protocol)}
}
