package vector

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/cilium/ebpf/btf"
)

// apply changes the object's programs and maps as the configuration says, before they are loaded.
func (c *Configuration) apply(spec *ebpf.CollectionSpec) error {
	for _, step := range []func(*ebpf.CollectionSpec) error{
		c.setConstants, c.setSizes, callsByTag, c.setTailCalls, c.keepPrograms,
	} {
		if err := step(spec); err != nil {
			return err
		}
	}
	if c.Rewrite != nil {
		return c.Rewrite(spec)
	}
	return nil
}

// setConstants writes global variables, by their types.
func (c *Configuration) setConstants(spec *ebpf.CollectionSpec) error {
	encoder := newEncoder(spec, c.Device)
	for _, name := range slices.Sorted(maps.Keys(c.Constants)) {
		value, err := toWritten(c.Constants[name])
		if err != nil {
			return err
		}
		variable := spec.Variables[name]
		if variable == nil {
			return value.at.errorf("%s", unknown("variable", name, slices.Sorted(maps.Keys(spec.Variables))))
		}
		var t btf.Type
		if variable.Type != nil {
			t = variable.Type.Type
		}
		p, err := encoder.encode(t, int(variable.Size()), value)
		if err != nil {
			return err
		}
		current := slices.Clone(variable.Value)
		if current == nil {
			current = make([]byte, variable.Size())
		}
		for i, mask := range p.mask {
			current[i] = current[i]&^mask | p.bytes[i]&mask
		}
		if err := variable.Set(current); err != nil {
			return value.at.errorf("variable %s: %w", name, err)
		}
	}
	return nil
}

func (c *Configuration) setSizes(spec *ebpf.CollectionSpec) error {
	for name, size := range c.MapSizes {
		m := spec.Maps[name]
		if m == nil {
			return c.place("map_sizes", name).errorf("%s", unknown("map", name, slices.Sorted(maps.Keys(spec.Maps))))
		}
		m.MaxEntries = size
	}
	return nil
}

// callsByTag puts programs into the slots that their functions name by a BTF declaration tag: "tail:MAP/SLOT".
func callsByTag(spec *ebpf.CollectionSpec) error {
	for name, program := range spec.Programs {
		if len(program.Instructions) == 0 {
			continue
		}
		function := btf.FuncMetadata(&program.Instructions[0])
		if function == nil {
			continue
		}
		for _, tag := range function.Tags {
			at, ok := strings.CutPrefix(tag, "tail:")
			if !ok {
				continue
			}
			table, slot, _ := strings.Cut(at, "/")
			index, err := parseInteger(slot)
			if err != nil {
				return fmt.Errorf("program %s has the tag %q, which names no slot: %w", name, tag, err)
			}
			if m := spec.Maps[table]; m == nil || m.Type != ebpf.ProgramArray {
				return fmt.Errorf("program %s has the tag %q, and there is no program array %s", name, tag, table)
			}
			putCall(spec.Maps[table], uint32(index), name)
		}
	}
	return nil
}

func (c *Configuration) setTailCalls(spec *ebpf.CollectionSpec) error {
	for table, slots := range c.TailCalls {
		at := c.place("tail_calls", table)
		m := spec.Maps[table]
		switch {
		case m == nil:
			return at.errorf("%s", unknown("map", table, slices.Sorted(maps.Keys(spec.Maps))))
		case m.Type != ebpf.ProgramArray:
			return at.errorf("map %s is of type %s, and tail calls go through a ProgramArray", table, m.Type)
		}
		for slot, program := range slots {
			if spec.Programs[program] == nil {
				return at.errorf("%s", unknown("program", program, slices.Sorted(maps.Keys(spec.Programs))))
			}
			if slot >= m.MaxEntries {
				return at.errorf("map %s has %d slots, from 0 on, so there is no slot %d", table, m.MaxEntries, slot)
			}
			putCall(m, slot, program)
		}
	}
	return nil
}

// putCall gives a slot of a program array to a program.
func putCall(m *ebpf.MapSpec, slot uint32, program string) {
	m.Contents = slices.DeleteFunc(slices.Clone(m.Contents), func(kv ebpf.MapKV) bool { return kv.Key == slot })
	m.Contents = append(m.Contents, ebpf.MapKV{Key: slot, Value: program})
}

// newEncoder encodes with the constants of the object's enumerations, and with devices.
func newEncoder(spec *ebpf.CollectionSpec, device func(string) (uint32, error)) *encoder {
	constants := map[string]uint64{}
	if spec.Types != nil {
		for t, err := range spec.Types.All() {
			if err != nil {
				break
			}
			if enum, ok := t.(*btf.Enum); ok {
				for _, v := range enum.Values {
					constants[v.Name] = v.Value
				}
			}
		}
	}
	return &encoder{
		names: func(name string) (uint64, bool) {
			if n, ok := constants[name]; ok {
				return n, true
			}
			if device != nil {
				if n, err := device(name); err == nil {
					return uint64(n), true
				}
			}
			return 0, false
		},
		known: func() []string { return slices.Sorted(maps.Keys(constants)) },
	}
}
