package bpf

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"
)

// addMembers tells which backends clients of v may stay with. What old has is there already.
func (n *Node) addMembers(v, old *version) error {
	if v.Affinity == 0 {
		return nil
	}
	t := n.services
	v.members = map[hostMember]uint32{}
	for set, table := range map[uint32]*slotTable{v.insideID(): v.inside, v.outsideID(): v.outside} {
		for _, b := range table.backends {
			used := t.backends[b]
			v.members[hostMember{Set: set, Backend: used.id}] = used.number
		}
	}
	for member, number := range v.members {
		if old.has(member) {
			continue
		}
		if err := n.Maps.Members.Put(member, number); err != nil {
			return fmt.Errorf("members: %w: load with larger MapSizes.Slots", err)
		}
	}
	return nil
}

// dropMembers removes what addMembers added, but what other has too.
func (n *Node) dropMembers(v, other *version) error {
	var errs []error
	for member := range v.members {
		if other.has(member) {
			continue
		}
		if err := n.Maps.Members.Delete(member); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			errs = append(errs, fmt.Errorf("members: %w", err))
		}
	}
	return errors.Join(errs...)
}

func (v *version) has(m hostMember) bool {
	if v == nil {
		return false
	}
	_, has := v.members[m]
	return has
}

// addSources writes the list of who may use v.
func (n *Node) addSources(v *version) error {
	if len(v.Sources) == 0 {
		return nil
	}
	n.services.lastID++
	v.list = n.services.lastID
	for _, prefix := range v.Sources {
		if err := n.Maps.Sources.Put(rawSource(v.list, prefix), uint32(1)); err != nil {
			return fmt.Errorf("source range %s: %w: load with larger MapSizes.Sources", prefix, err)
		}
	}
	return nil
}

func (n *Node) dropSources(v *version) error {
	var errs []error
	for _, prefix := range v.Sources {
		err := n.Maps.Sources.Delete(rawSource(v.list, prefix))
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			errs = append(errs, fmt.Errorf("source range %s: %w", prefix, err))
		}
	}
	return errors.Join(errs...)
}

func rawSource(list uint32, prefix netip.Prefix) hostSource {
	raw := rawPrefix(prefix)
	return hostSource{Bits: 32 + raw.Bits, List: list, Words: raw.Words}
}
