package bpf

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// slotTable is a range of slots: a list of backends, or a Maglev table. Services with the same backends share it.
type slotTable struct {
	span
	key      string
	backends []Frontend
	services int // that use it
}

type usedBackend struct {
	number, id uint32
	tables     int // that have it
}

// useTable returns the slots from which flows to s choose one of the backends.
func (n *Node) useTable(s Service, addrs []netip.AddrPort) (*slotTable, error) {
	t := n.services
	// In this order whoever writes it: the table is the same on every node.
	slices.SortFunc(addrs, func(a, b netip.AddrPort) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Port(), b.Port()))
	})
	size := s.Maglev
	if len(addrs) <= 1 {
		size = 0
	}
	key := tableKey(s.Protocol, addrs, size)
	if table := t.tables[key]; table != nil {
		table.services++
		return table, nil
	}
	return n.addTable(key, s.Protocol, addrs, size)
}

func (n *Node) addTable(key string, protocol Protocol, addrs []netip.AddrPort, size int) (_ *slotTable, err error) {
	t := n.services
	table := &slotTable{key: key, services: 1}
	t.tables[key] = table
	defer func() {
		if err != nil {
			t.dropTable(table, false)
		}
	}()
	var names []string
	var numbers []uint32
	for _, addr := range addrs {
		backend := Frontend{Addr: addr, Protocol: protocol}
		used, err := n.useBackend(backend)
		if err != nil {
			return nil, err
		}
		table.backends = append(table.backends, backend)
		names, numbers = append(names, backend.String()), append(numbers, used.number)
	}
	slots := numbers
	if size > 0 {
		slots = maglev(names, size)
		for i, index := range slots {
			slots[i] = numbers[index]
		}
	}
	if len(slots) == 0 {
		return table, nil
	}
	first, err := t.take(&t.slots, uint32(len(slots)), "slots in a row", "Slots")
	if err != nil {
		return nil, err
	}
	table.span = span{first, uint32(len(slots))}
	keys := make([]uint32, len(slots))
	for i := range keys {
		keys[i] = first + uint32(i)
	}
	if _, err := n.Maps.Slots.BatchUpdate(keys, slots, nil); err != nil {
		return nil, fmt.Errorf("slots: %w", err)
	}
	return table, nil
}

func tableKey(protocol Protocol, addrs []netip.AddrPort, size int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d", protocol, size)
	for _, addr := range addrs {
		b.WriteString(" ")
		b.WriteString(addr.String())
	}
	return b.String()
}

// dropTable gives up a table for one service. Seen: programs may be reading it.
func (t *serviceTable) dropTable(table *slotTable, seen bool) {
	if table == nil {
		return
	}
	if table.services--; table.services > 0 {
		return
	}
	delete(t.tables, table.key)
	t.release(&t.slots, table.span, seen)
	for _, backend := range table.backends {
		t.dropBackend(backend, seen)
	}
}

// useBackend returns a backend's number and id, and counts one table more for it.
func (n *Node) useBackend(b Frontend) (*usedBackend, error) {
	t := n.services
	if used := t.backends[b]; used != nil {
		used.tables++
		return used, nil
	}
	number, err := t.take(&t.places, 1, "backends", "Backends")
	if err != nil {
		return nil, err
	}
	t.lastID++
	used := &usedBackend{number: number, id: t.lastID, tables: 1}
	if err := n.markBackend(b); err != nil {
		t.release(&t.places, span{number, 1}, false)
		return nil, err
	}
	value := hostBackend{Addr: rawAddr(b.Addr.Addr()), Port: rawPort(b.Addr.Port()), Proto: uint8(b.Protocol), Id: used.id}
	if err := n.Maps.Backends.Put(number, value); err != nil {
		t.release(&t.places, span{number, 1}, false)
		return nil, fmt.Errorf("backend %s: %w", b, err)
	}
	t.backends[b] = used
	return used, nil
}

// dropBackend counts one table less for a backend, and gives it up with its last.
func (t *serviceTable) dropBackend(b Frontend, seen bool) {
	used := t.backends[b]
	if used.tables--; used.tables > 0 {
		return
	}
	delete(t.backends, b)
	t.release(&t.places, span{used.number, 1}, seen)
}
