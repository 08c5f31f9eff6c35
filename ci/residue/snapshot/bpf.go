package snapshot

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// The BPF lists stand on one another: a link keeps its program alive, a program its maps, both their BTF. They are taken in that order, and
// each passes its holders on, so that who holds a link is known to hold all that hangs on it.

func (m *machine) listLinks() (map[string]Thing, error) {
	const tries = 1000
	for n := 1; ; n++ {
		things, err := m.tryLinks()
		if n == tries || !errors.Is(err, unix.EAGAIN) {
			return things, err
		}
		time.Sleep(time.Millisecond) // Somebody is just making a link; the kernel says so by EAGAIN.
	}
}

func (m *machine) tryLinks() (map[string]Thing, error) {
	things := map[string]Thing{}
	it := new(link.Iterator)
	defer it.Close()
	for it.Next() {
		info, err := it.Link.Info()
		if err != nil {
			return nil, fmt.Errorf("link %d: %w", it.ID, err)
		}
		key := fmt.Sprintf("link %d", it.ID)
		m.share(key, fmt.Sprintf("prog %d", info.Program))
		things[key] = m.thing(fmt.Sprintf("of type %d with program %d", info.Type, info.Program), m.holders[key]...)
	}
	return things, it.Err()
}

func (m *machine) listPrograms() (map[string]Thing, error) {
	return list(ebpf.ProgramGetNextID, "prog", func(id ebpf.ProgramID, key string) (Thing, error) {
		prog, err := ebpf.NewProgramFromID(id)
		if err != nil {
			return Thing{}, err
		}
		defer prog.Close()
		info, err := prog.Info()
		if err != nil {
			return Thing{}, err
		}
		isFilter := info.Type == ebpf.SchedCLS || info.Type == ebpf.SchedACT || info.Type == ebpf.XDP
		if isFilter && len(m.holders[key]) == 0 {
			m.share(strangers, key)
		}
		maps, _ := info.MapIDs()
		for _, id := range maps {
			m.share(key, fmt.Sprintf("map %d", id))
		}
		if id, ok := info.BTFID(); ok {
			m.share(key, fmt.Sprintf("btf %d", id))
		}
		return m.thing(fmt.Sprintf("%s %q", info.Type, info.Name), m.holders[key]...), nil
	})
}

func (m *machine) listMaps() (map[string]Thing, error) {
	return list(ebpf.MapGetNextID, "map", func(id ebpf.MapID, key string) (Thing, error) {
		bpfMap, err := ebpf.NewMapFromID(id)
		if err != nil {
			return Thing{}, err
		}
		defer bpfMap.Close()
		info, err := bpfMap.Info()
		if err != nil {
			return Thing{}, err
		}
		if len(m.holders[key]) == 0 {
			m.share(mappedMaps, key)
		}
		if id, ok := info.BTFID(); ok {
			m.share(key, fmt.Sprintf("btf %d", id))
		}
		return m.thing(fmt.Sprintf("%s %q", info.Type, info.Name), m.holders[key]...), nil
	})
}

func (m *machine) listBTF() (map[string]Thing, error) {
	things := map[string]Thing{}
	it := new(btf.HandleIterator)
	defer it.Handle.Close()
	for it.Next() {
		key := fmt.Sprintf("btf %d", it.ID)
		things[key] = m.thing("", m.holders[key]...)
	}
	return things, it.Err()
}

// list walks the IDs of one sort of object and describes each; one that is freed meanwhile is left out.
func list[ID ~uint32](next func(ID) (ID, error), sort string, describe func(ID, string) (Thing, error)) (map[string]Thing, error) {
	things := map[string]Thing{}
	for id := ID(0); ; {
		var err error
		if id, err = next(id); errors.Is(err, os.ErrNotExist) {
			return things, nil
		} else if err != nil {
			return nil, err
		}
		key := fmt.Sprintf("%s %d", sort, id)
		thing, err := describe(id, key)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		things[key] = thing
	}
}
