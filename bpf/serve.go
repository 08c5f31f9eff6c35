package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/cilium/ebpf"
)

// serviceTable is what this process wrote to the maps of services. How they change is told in lib/service.h.
type serviceTable struct {
	mu       sync.Mutex
	served   map[Frontend]*version
	tables   map[string]*slotTable
	backends map[Frontend]*usedBackend
	groups   map[string]*affinityGroup
	members  map[hostMember]int // versions that have it
	fronts   spans              // numbers of frontends
	leadsTo  *ebpf.Memory       // by them, numbers of services
	numbers  spans              // of services
	slots    spans
	places   spans // of backends
	lastID   uint32
	fence    fence
	known    [64]hostBackendBits // backend_bits as the kernel has them
}

func newServiceTable(maps Maps) (*serviceTable, error) {
	leadsTo, err := maps.LeadsTo.Memory()
	if err != nil {
		return nil, fmt.Errorf("bpf: map leads_to: %w", err)
	}
	return &serviceTable{
		served: map[Frontend]*version{}, tables: map[string]*slotTable{}, backends: map[Frontend]*usedBackend{},
		groups: map[string]*affinityGroup{}, members: map[hostMember]int{},
		fronts: newSpans(maps.LeadsTo.MaxEntries()), leadsTo: leadsTo,
		numbers: newSpans(maps.Services.MaxEntries()), slots: newSpans(maps.Slots.MaxEntries()), places: newSpans(maps.Backends.MaxEntries()),
	}, nil
}

// version is a service as it lies in the maps.
type version struct {
	Service
	front           uint32 // number of its frontend, the same for all versions
	number          uint32
	inside, outside *slotTable
	group           *affinityGroup // with affinity
	members         []hostMember   // with affinity; one that is in both sets twice
	list            uint32         // of sources
}

// PutService installs or replaces a service at once: each packet sees the backends of before or of after. Running flows keep
// their backend, except those of UDP whose backend the service no longer has, which choose again.
func (n *Node) PutService(s Service) error { return n.Serve([]Service{s}, nil) }

// DeleteService removes a service. One that is not known is no error. Running flows keep their backend, except those of UDP.
func (n *Node) DeleteService(f Frontend) error { return n.Serve(nil, []Frontend{f}) }

// Serve installs or replaces services, and removes others: all of it, or with an error nothing. Each service changes at once,
// one after the other.
func (n *Node) Serve(put []Service, remove []Frontend) error {
	if err := n.checkAll(put, remove); err != nil {
		return err
	}
	t := n.services
	t.mu.Lock()
	defer t.mu.Unlock()

	var written []*version
	undo := func(seen bool, cause error) error {
		errs := []error{cause}
		for _, v := range written {
			errs = append(errs, n.abandon(v, seen))
		}
		return errors.Join(errs...)
	}
	if err := t.checkRoom(put, remove, n.Maps.Frontends.MaxEntries()); err != nil {
		return err
	}
	for _, s := range put {
		v, err := n.write(s)
		if err != nil {
			return undo(false, fmt.Errorf("bpf: service %s: %w", s.Frontend, err))
		}
		written = append(written, v)
	}
	if err := n.publish(written, remove); err != nil {
		return undo(true, err)
	}
	return n.retire(written, remove)
}

// checkAll checks what needs no table.
func (n *Node) checkAll(put []Service, remove []Frontend) error {
	seen := map[Frontend]bool{}
	for _, f := range remove {
		seen[f] = true
	}
	for _, s := range put {
		if err := s.check(); err != nil {
			return err
		}
		if seen[s.Frontend] {
			return fmt.Errorf("bpf: service %s is there twice: a frontend has one service", s.Frontend)
		}
		if s.DSR && !n.config.DSR {
			return fmt.Errorf("bpf: service %s is for direct server return: load the node with Config.DSR", s.Frontend)
		}
		seen[s.Frontend] = true
	}
	return nil
}

func (t *serviceTable) checkRoom(put []Service, remove []Frontend, room uint32) error {
	frontends := len(t.served)
	for _, s := range put {
		if t.served[s.Frontend] == nil {
			frontends++
		}
	}
	for _, f := range remove {
		if t.served[f] != nil {
			frontends--
		}
	}
	if frontends > int(room) {
		return fmt.Errorf("bpf: %d services, and there is room for %d: load with larger MapSizes.Services", frontends, room)
	}
	return nil
}

// write puts a version of s where no program sees it. On error nothing is left.
func (n *Node) write(s Service) (_ *version, err error) {
	t := n.services
	v := &version{Service: s}
	if v.number, err = t.take(&t.numbers, 1, "services at once", "Services"); err != nil {
		return nil, err
	}
	if old := t.served[s.Frontend]; old != nil {
		v.front = old.front
	} else if v.front, err = t.take(&t.fronts, 1, "frontends at once", "Services"); err != nil {
		t.numbers.give(span{v.number, 1})
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.abandon(v, false))
		}
	}()
	if v.inside, err = n.useTable(s, s.inside()); err != nil {
		return nil, err
	}
	if v.outside, err = n.useTable(s, s.outside()); err != nil {
		return nil, err
	}
	if err := n.addMembers(v); err != nil {
		return nil, err
	}
	if err := n.addSources(v); err != nil {
		return nil, err
	}
	return v, n.Maps.Services.Put(v.number, v.raw())
}

// publish makes the programs see what was written, and what is removed no longer. On error they see what they saw before.
func (n *Node) publish(written []*version, remove []Frontend) (err error) {
	t := n.services
	var added, removed []*version
	defer func() {
		if err == nil {
			return
		}
		for _, v := range added {
			err = errors.Join(err, n.Maps.Frontends.Delete(v.Frontend.raw()))
		}
		for _, v := range removed {
			err = errors.Join(err, n.Maps.Frontends.Put(v.Frontend.raw(), v.front))
		}
	}()
	// Removed first: what is added may need the room.
	for _, f := range remove {
		old := t.served[f]
		if old == nil {
			continue
		}
		if err := n.Maps.Frontends.Delete(f.raw()); err != nil {
			return fmt.Errorf("bpf: service %s: %w", f, err)
		}
		removed = append(removed, old)
	}
	for _, v := range written {
		if t.served[v.Frontend] != nil {
			continue
		}
		if err := t.lead(v); err != nil {
			return err
		}
		if err := n.Maps.Frontends.Put(v.Frontend.raw(), v.front); err != nil {
			return fmt.Errorf("bpf: service %s: %w", v.Frontend, err)
		}
		added = append(added, v)
	}
	// Last, as nothing that can fail comes after it.
	for _, v := range written {
		if t.served[v.Frontend] == nil {
			continue
		}
		if err := t.lead(v); err != nil {
			return err
		}
	}
	return nil
}

// lead has a frontend lead to that version. Values of arrays are 8 bytes apart, whatever their size.
func (t *serviceTable) lead(v *version) error {
	number := binary.NativeEndian.AppendUint32(nil, v.number)
	if _, err := t.leadsTo.WriteAt(number, 8*int64(v.front)); err != nil { // stored at once: see ebpf.Memory
		return fmt.Errorf("bpf: service %s: %w", v.Frontend, err)
	}
	return nil
}

// retire removes the versions that were replaced, and the flows that must not outlive them.
func (n *Node) retire(written []*version, remove []Frontend) error {
	t := n.services
	gone := stale{}
	var errs []error
	for _, f := range remove {
		if old := t.served[f]; old != nil {
			gone.left(old, nil)
			delete(t.served, f)
			errs = append(errs, n.abandon(old, true))
		}
	}
	for _, v := range written {
		if old := t.served[v.Frontend]; old != nil {
			gone.left(old, v)
			errs = append(errs, n.erase(old, true))
		}
		t.served[v.Frontend] = v
	}
	return errors.Join(append(errs, n.forget(gone))...)
}

// abandon removes a version of a frontend that has no other, with the frontend's number, or one that has never come to be.
func (n *Node) abandon(v *version, seen bool) error {
	t := n.services
	if t.served[v.Frontend] == nil {
		t.release(&t.fronts, span{v.front, 1}, seen)
	}
	return n.erase(v, seen)
}

// erase removes a version. Seen: programs may be reading it.
func (n *Node) erase(v *version, seen bool) error {
	t := n.services
	t.release(&t.numbers, span{v.number, 1}, seen)
	t.dropTable(v.inside, seen)
	t.dropTable(v.outside, seen)
	return errors.Join(n.dropMembers(v), n.dropSources(v))
}

// take takes neighbours out of a table, once programs have ended if it must be.
func (t *serviceTable) take(from *spans, count uint32, what, option string) (uint32, error) {
	if first, ok := from.take(count); ok {
		return first, nil
	}
	if len(from.retired) > 0 {
		if err := t.wait(); err != nil {
			return 0, err
		}
		if first, ok := from.take(count); ok {
			return first, nil
		}
	}
	return 0, fmt.Errorf("no room for %d more %s: load with larger MapSizes.%s", count, what, option)
}

// wait waits until no program can see what is retired.
func (t *serviceTable) wait() error {
	if err := t.fence.wait(); err != nil {
		return err
	}
	t.fronts.reuse()
	t.numbers.reuse()
	t.slots.reuse()
	t.places.reuse()
	return nil
}

func (t *serviceTable) release(to *spans, returned span, seen bool) {
	if seen {
		to.retire(returned)
	} else {
		to.give(returned)
	}
}

func (v *version) raw() hostService {
	raw := hostService{
		Frontend: v.Frontend.raw(),
		Inside:   hostSet{First: v.inside.first, Count: v.inside.count, Id: v.insideID()},
		Outside:  hostSet{First: v.outside.first, Count: v.outside.count, Id: v.outsideID()},
		Affinity: uint32(v.Affinity.Milliseconds()),
		Sources:  v.list,
	}
	for flag, set := range map[hostServiceFlag]bool{
		hostServiceFlagSERVICE_EXTERNAL:       v.External,
		hostServiceFlagSERVICE_EXTERNAL_LOCAL: v.ExternalLocal,
		hostServiceFlagSERVICE_BACKENDS:       len(v.Backends) > 0,
		hostServiceFlagSERVICE_SOURCES:        len(v.Sources) > 0,
		hostServiceFlagSERVICE_NODE_PORT:      v.NodePort,
		hostServiceFlagSERVICE_DSR:            v.DSR,
	} {
		if set {
			raw.Flags |= flag
		}
	}
	return raw
}
