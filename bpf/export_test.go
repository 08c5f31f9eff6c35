package bpf

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// EvictFlow removes one entry of conntrack, as the kernel does when the table is full.
func (n *Node) EvictFlow(t Tuple) error {
	if err := n.Maps.CT.Delete(t.raw()); err != nil {
		return fmt.Errorf("%s: %w", t, err)
	}
	return nil
}

// AgeFlow makes an entry look as if it had last been brought up to date long ago.
func (n *Node) AgeFlow(t Tuple) error {
	var entry hostCtEntry
	if err := n.Maps.CT.Lookup(t.raw(), &entry); err != nil {
		return fmt.Errorf("%s: %w", t, err)
	}
	entry.Tick -= 1 << 15
	entry.LastSeen = 1
	return n.Maps.CT.Put(t.raw(), entry)
}

// ExpireFlowsAt is ExpireFlows at that time of CLOCK_MONOTONIC, in ns.
func (n *Node) ExpireFlowsAt(now uint64, t Timeouts) (int, error) { return n.expireFlows(t, now) }

// ExpireFlow removes the flow with that entry unless it was used after since.
func (n *Node) ExpireFlow(t Tuple, since uint64) (int, error) {
	return n.expire([]idleFlow{{t.raw(), since}})
}

// ExpireNoise runs what removes idle flows on a list that is none.
func (n *Node) ExpireNoise(list []byte) error {
	_, err := n.programs[ctProgCtExpire].Run(&ebpf.RunOptions{Data: list})
	return err
}

// MarkFlow makes an entry look as if it were just being removed.
func (n *Node) MarkFlow(t Tuple) error {
	var entry hostCtEntry
	if err := n.Maps.CT.Lookup(t.raw(), &entry); err != nil {
		return fmt.Errorf("%s: %w", t, err)
	}
	entry.State = hostCtStateCT_EXPIRED
	entry.Tick -= 1 << 15
	return n.Maps.CT.Put(t.raw(), entry)
}

// State is every map whose contents outlast a packet, but for counters and events.
func (n *Node) State() map[string]*ebpf.Map {
	state := maps.Clone(n.maps)
	for _, name := range []string{hostMapPackets, hostMapSlowPath, hostMapMetrics, hostMapEvents} {
		delete(state, name)
	}
	return state
}

// AgeClaims makes all claims look as if their flows had last been used so much longer ago.
func (n *Node) AgeClaims(by time.Duration) error {
	table := n.maps[hostMapClaims]
	for number := range table.MaxEntries() {
		var set hostClaimSet
		if err := table.Lookup(number, &set); err != nil {
			return err
		}
		for i := range set.Claims {
			set.Claims[i].Used -= uint32(by >> 20)
		}
		if set.Missed != 0 {
			set.Missed -= uint32(by >> 20)
		}
		if set == (hostClaimSet{}) {
			continue
		}
		if err := table.Put(number, set); err != nil {
			return err
		}
	}
	return nil
}

// AgeDatagrams makes all known datagrams look as if their first fragments had come before the last minute.
func (n *Node) AgeDatagrams() error {
	var key hostDatagram
	var ports hostDatagramPorts
	aged := map[hostDatagram]hostDatagramPorts{} // an entry that is put again comes first in its bucket: the way to the next would lead back
	entries := n.maps[hostMapDatagrams].Iterate()
	for entries.Next(&key, &ports) {
		ports.FirstSeen -= uint64(61 * time.Second)
		aged[key] = ports
	}
	for key, ports := range aged {
		if err := n.maps[hostMapDatagrams].Put(key, ports); err != nil {
			return err
		}
	}
	return entries.Err()
}

// SpendICMP leaves no error for the programs to send from now on.
func (n *Node) SpendICMP() error {
	fullAt := make([]uint64, ebpf.MustPossibleCPU())
	for cpu := range fullAt {
		fullAt[cpu] = math.MaxUint64 / 2
	}
	return n.maps["icmp_budget"].Put(uint32(0), fullAt)
}

func (t Tuple) raw() hostTuple {
	return hostTuple{
		Saddr: rawAddr(t.Src.Addr()), Daddr: rawAddr(t.Dst.Addr()),
		Sport: rawPort(t.Src.Port()), Dport: rawPort(t.Dst.Port()), Proto: uint8(t.Protocol),
	}
}

// Used is how much of the tables of services is taken: what programs can find, not what waits to be used again.
type Used struct{ Frontends, Services, Slots, Backends, Members, Sources int }

func (n *Node) Used() (Used, error) {
	t := n.services
	used := Used{Frontends: t.fronts.used(n.Maps.LeadsTo), Services: t.numbers.used(n.Maps.Services), Slots: t.slots.used(n.Maps.Slots), Backends: t.places.used(n.Maps.Backends)}
	for table, count := range map[*ebpf.Map]*int{n.Maps.Members: &used.Members, n.Maps.Sources: &used.Sources} {
		key, value := make([]byte, table.KeySize()), make([]byte, table.ValueSize())
		entries := table.Iterate()
		for entries.Next(&key, &value) {
			*count++
		}
		if err := entries.Err(); err != nil {
			return Used{}, err
		}
	}
	return used, nil
}

func (s *spans) used(table *ebpf.Map) int {
	used := table.MaxEntries()
	for _, free := range append(slices.Clone(s.free), s.retired...) {
		used -= free.count
	}
	return int(used)
}

// AgeAffinities makes all clients look as if their last flow had been so much longer ago.
func (n *Node) AgeAffinities(by time.Duration) error {
	var key hostClient
	var value hostAffinity
	aged := map[hostClient]hostAffinity{}
	entries := n.Maps.Affinities.Iterate()
	for entries.Next(&key, &value) {
		value.LastFlow -= uint64(by)
		aged[key] = value
	}
	for key, value := range aged {
		if err := n.Maps.Affinities.Put(key, value); err != nil {
			return err
		}
	}
	return entries.Err()
}

// Misdirect has a frontend's element of the hash lead to the service of another, as for a moment it does when the kernel gives
// the element to the other while a program reads it.
func (n *Node) Misdirect(f, to Frontend) error {
	return n.Maps.Frontends.Put(f.raw(), n.services.served[to].front)
}

// MaglevTable is the table that flows to backends of these names choose by.
var MaglevTable = maglev

// ForgetSockets empties the tables of sockets.
func (n *Node) ForgetSockets() error {
	var errs []error
	for _, table := range []*ebpf.Map{n.Maps.SockNamed, n.Maps.SockKept} {
		errs = append(errs, eachSocket(table, func(key, _ sockSockPeer) error { return table.Delete(key) }))
	}
	return errors.Join(errs...)
}

// Rejected is what Load makes of an error.
var Rejected = rejected

// Enumerators returns the names of a C enum of the objects, by value.
func Enumerators(name string) (map[uint64]string, error) {
	specs, err := objects()
	if err != nil {
		return nil, err
	}
	redir, err := loadRedir()
	if err != nil {
		return nil, err
	}
	for _, spec := range append(specs[:len(specs):len(specs)], redir) {
		var enum *btf.Enum
		if err := spec.Types.TypeByName(name, &enum); err != nil {
			continue
		}
		names := map[uint64]string{}
		for _, e := range enum.Values {
			names[e.Value] = e.Name
		}
		return names, nil
	}
	return nil, fmt.Errorf("no enum %s", name)
}

// ResumeRedirecting takes StopRedirecting back.
func (n *Node) ResumeRedirecting() error { return n.maps[redirMapStopped].Put(uint32(0), uint32(0)) }

// LoadSessions loads nothing but what follows and redirects sessions.
func LoadSessions(opts Options) (*Node, error) {
	node := &Node{maps: map[string]*ebpf.Map{}, programs: map[string]*ebpf.Program{}}
	if err := node.loadSessions(opts); err != nil {
		return nil, errors.Join(err, node.Close())
	}
	node.name()
	return node, nil
}

// ChangeObjects has change look at every object, by the name of its file, before anything of it is loaded.
func ChangeObjects(change func(name string, spec *ebpf.CollectionSpec) (*ebpf.CollectionSpec, error)) {
	changed := func(parse func() ([]*ebpf.CollectionSpec, error), names ...string) func() ([]*ebpf.CollectionSpec, error) {
		return sync.OnceValues(func() ([]*ebpf.CollectionSpec, error) {
			specs, err := parse()
			if err != nil {
				return nil, err
			}
			specs = slices.Clone(specs)
			for i, name := range names {
				if specs[i], err = change(name+"_bpfel.o", specs[i].Copy()); err != nil {
					return nil, err
				}
			}
			return specs, nil
		})
	}
	objects = changed(objects, "xdp", "host", "lxc", "ct", "sock", "network")
	sessionObjects = changed(sessionObjects, "sockops", "redir")
}
