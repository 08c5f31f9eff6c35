package bpf

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"
)

// affinityGroup is services that share what they remember of clients.
type affinityGroup struct {
	all, local uint32 // ids of the sets with all backends, and with those of this node
	versions   int    // of its services
}

// addMembers tells which backends clients of v may stay with.
func (n *Node) addMembers(v *version) error {
	if v.Affinity == 0 {
		return nil
	}
	t := n.services
	v.group = t.joinGroup(v.groupName())
	for _, set := range []struct {
		id    uint32
		table *slotTable
	}{{v.insideID(), v.inside}, {v.outsideID(), v.outside}} {
		for _, b := range set.table.backends {
			used := t.backends[b]
			member := hostMember{Set: set.id, Backend: used.id}
			if t.members[member] == 0 {
				if err := n.Maps.Members.Put(member, used.number); err != nil {
					return fmt.Errorf("members: %w: load with larger MapSizes.Slots", err)
				}
			}
			t.members[member]++
			v.members = append(v.members, member)
		}
	}
	return nil
}

// dropMembers removes what addMembers added, but what other services have too.
func (n *Node) dropMembers(v *version) error {
	t := n.services
	var errs []error
	for _, member := range v.members {
		if t.members[member]--; t.members[member] > 0 {
			continue
		}
		delete(t.members, member)
		if err := n.Maps.Members.Delete(member); err != nil {
			errs = append(errs, fmt.Errorf("members: %w", err))
		}
	}
	if v.group != nil {
		t.leaveGroup(v.groupName())
	}
	return errors.Join(errs...)
}

func (t *serviceTable) joinGroup(name string) *affinityGroup {
	group := t.groups[name]
	if group == nil {
		group = &affinityGroup{all: t.lastID + 1, local: t.lastID + 2}
		t.lastID += 2
		t.groups[name] = group
	}
	group.versions++
	return group
}

func (t *serviceTable) leaveGroup(name string) {
	group := t.groups[name]
	if group.versions--; group.versions == 0 {
		delete(t.groups, name)
	}
}

// groupName tells groups from services that are alone.
func (v *version) groupName() string {
	if v.Group != "" {
		return "group " + v.Group
	}
	return v.Frontend.String()
}

func (v *version) insideID() uint32  { return v.group.id(v.InternalLocal) }
func (v *version) outsideID() uint32 { return v.group.id(v.ExternalLocal) }

// id is 0 for services without affinity.
func (g *affinityGroup) id(local bool) uint32 {
	switch {
	case g == nil:
		return 0
	case local:
		return g.local
	default:
		return g.all
	}
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
