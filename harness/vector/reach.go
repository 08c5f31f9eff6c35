package vector

import (
	"maps"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// keepPrograms leaves only the programs that are wanted, and those that they may call.
func (c *Configuration) keepPrograms(spec *ebpf.CollectionSpec) error {
	if c.Programs == nil {
		return nil
	}
	keep := map[string]bool{}
	var add func(name string)
	add = func(name string) {
		program := spec.Programs[name]
		if keep[name] || program == nil {
			return
		}
		keep[name] = true
		calls := callsOf(program.Instructions)
		for _, m := range mapsOf(program.Instructions) {
			table := spec.Maps[m]
			if table == nil || table.Type != ebpf.ProgramArray {
				continue
			}
			for _, kv := range table.Contents {
				slot, numbered := kv.Key.(uint32)
				if called, ok := kv.Value.(string); ok && (!numbered || calls.mayTake(m, slot)) {
					add(called)
				}
			}
		}
	}
	for _, name := range c.Programs {
		add(name)
	}
	maps.DeleteFunc(spec.Programs, func(name string, _ *ebpf.ProgramSpec) bool { return !keep[name] })
	for _, m := range spec.Maps {
		if m.Type == ebpf.ProgramArray {
			m.Contents = slices.DeleteFunc(slices.Clone(m.Contents), func(kv ebpf.MapKV) bool {
				called, ok := kv.Value.(string)
				return ok && !keep[called]
			})
		}
	}
	return nil
}

// mapsOf lists the maps that instructions refer to.
func mapsOf(instructions asm.Instructions) (names []string) {
	for i := range instructions {
		if ins := &instructions[i]; ins.IsLoadFromMap() && ins.Reference() != "" {
			names = append(names, ins.Reference())
		}
	}
	return names
}

// calls are the slots of program arrays that a program may call.
type calls struct {
	slots map[string][]uint32 // by the array's name, where call and slot are told
	any   bool                // there is a call of which one of them is not
}

func (c calls) mayTake(table string, slot uint32) bool {
	return c.any || slices.Contains(c.slots[table], slot)
}

// register is what is known of a register: the address of a map, or a number.
type register struct {
	table    string
	number   uint32
	isNumber bool
}

// callsOf finds the tail calls of a program: the array in r2 and the slot in r3, followed through moves from where they were loaded.
// What ways that join bring along is taken for unknown.
func callsOf(instructions asm.Instructions) calls {
	found := calls{slots: map[string][]uint32{}}
	joins := joinsOf(instructions)
	var registers [asm.RFP + 1]register
	for walk := instructions.Iterate(); walk.Next(); {
		ins := walk.Ins
		if joins[walk.Offset] || ins.Symbol() != "" {
			clear(registers[:])
		}
		class, isMove := ins.OpCode.Class(), false
		if class.IsALU() {
			isMove = ins.OpCode.ALUOp() == asm.Mov
		}
		switch {
		case ins.IsBuiltinCall() && ins.Constant == int64(asm.FnTailCall):
			table, slot := registers[asm.R2].table, registers[asm.R3]
			if table == "" || !slot.isNumber {
				return calls{any: true}
			}
			found.slots[table] = append(found.slots[table], slot.number)
			clear(registers[:asm.R6])
		case class.IsJump():
			if ins.OpCode.JumpOp() == asm.Call {
				clear(registers[:asm.R6])
			}
		case class == asm.StClass, class == asm.StXClass && ins.OpCode.Mode() == asm.MemMode: // the register there is an address
		case class == asm.StXClass: // atomic: may fetch
			registers[asm.R0], registers[ins.Src] = register{}, register{}
		case ins.IsLoadFromMap():
			registers[ins.Dst] = register{table: ins.Reference()}
		case isMove && ins.OpCode.Source() == asm.ImmSource:
			registers[ins.Dst] = register{number: uint32(ins.Constant), isNumber: true}
		case isMove && ins.Offset == 0: // others extend a sign
			registers[ins.Dst] = registers[ins.Src]
		default:
			registers[ins.Dst] = register{}
		}
	}
	return found
}

// joinsOf are the instructions that jumps lead to.
func joinsOf(instructions asm.Instructions) map[asm.RawInstructionOffset]bool {
	joins := map[asm.RawInstructionOffset]bool{}
	for walk := instructions.Iterate(); walk.Next(); {
		ins := walk.Ins
		if op := ins.OpCode; !op.Class().IsJump() || op.JumpOp() == asm.Call || op.JumpOp() == asm.Exit {
			continue
		}
		distance := int64(ins.Offset)
		if ins.OpCode.Class() == asm.Jump32Class && ins.OpCode.JumpOp() == asm.Ja {
			distance = ins.Constant // "gotol", of 32 bits
		}
		joins[asm.RawInstructionOffset(int64(walk.Offset)+1+distance)] = true
	}
	return joins
}
