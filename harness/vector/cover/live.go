package cover

import "github.com/cilium/ebpf/asm"

// A set is a set of registers, a bit for each.
type set uint16

const (
	arguments   set = 1<<asm.R1 | 1<<asm.R2 | 1<<asm.R3 | 1<<asm.R4 | 1<<asm.R5
	clobbered   set = 1<<asm.R0 | arguments // by calls
	allToUse    set = clobbered | 1<<asm.R6 | 1<<asm.R7 | 1<<asm.R8 | 1<<asm.R9
	framePoint  set = 1 << asm.RFP
	noRegisters set = 0
)

func (s set) has(r asm.Register) bool { return s&(1<<r) != 0 }

// effect is what an instruction does with registers: those that it reads, those whose values end there, and those that have one after it,
// surely or perhaps.
type effect struct{ reads, ends, surely, perhaps set }

func defines(r asm.Register) effect { return effect{ends: 1 << r, surely: 1 << r, perhaps: 1 << r} }

func (e effect) reading(registers ...asm.Register) effect {
	for _, r := range registers {
		e.reads |= 1 << r
	}
	return e
}

func effectOf(i *asm.Instruction) effect {
	op := i.OpCode
	switch class := op.Class(); {
	case class.IsALU():
		e := defines(i.Dst)
		if op.ALUOp() != asm.Mov && op.ALUOp() != asm.MovSX8 && op.ALUOp() != asm.MovSX16 && op.ALUOp() != asm.MovSX32 {
			e = e.reading(i.Dst)
		}
		if op.ALUOp() != asm.Swap && op.Source() == asm.RegSource {
			e = e.reading(i.Src)
		}
		return e
	case class == asm.LdClass && op.IsDWordLoad():
		return defines(i.Dst)
	case class == asm.LdClass: // the old way to read packets: a call in all but name
		return effect{reads: 1<<asm.R6 | 1<<i.Src, ends: clobbered, surely: 1 << asm.R0, perhaps: 1 << asm.R0}
	case class == asm.LdXClass:
		return defines(i.Dst).reading(i.Src)
	case class == asm.StClass:
		return effect{}.reading(i.Dst)
	case class == asm.StXClass && op.Mode() == asm.AtomicMode: // some of them write to a register, too
		return effect{perhaps: 1<<i.Src | 1<<i.Dst | 1<<asm.R0}.reading(i.Dst, i.Src, asm.R0)
	case class == asm.StXClass:
		return effect{}.reading(i.Dst, i.Src)
	}
	switch op.JumpOp() {
	case asm.Call:
		e := effect{reads: arguments, ends: clobbered, surely: 1 << asm.R0, perhaps: 1 << asm.R0}
		if !i.IsBuiltinCall() {
			e.surely = noRegisters // it may return nothing
		}
		return e
	case asm.Exit:
		return effect{}.reading(asm.R0)
	case asm.Ja, asm.JCOND:
		return effect{}
	}
	e := effect{}.reading(i.Dst)
	if op.Source() == asm.RegSource {
		e = e.reading(i.Src)
	}
	return e
}

// registers is what holds of registers before each instruction.
type registers struct {
	live    []set // read later, on some way
	surely  []set // have a value, whichever way led here
	perhaps []set // have a value, on some way
}

// registers follows values through the program until nothing changes any more.
func (p *program) registers() registers {
	n := len(p.instructions)
	r := registers{make([]set, n), make([]set, n), make([]set, n)}
	effects := make([]effect, n)
	for i := range p.instructions {
		effects[i] = effectOf(&p.instructions[i])
		r.surely[i] = allToUse | framePoint
	}
	for i := range p.instructions {
		if p.function[i] == i { // arguments, as many as there are
			r.surely[i], r.perhaps[i] = framePoint, framePoint|arguments
			if i == 0 {
				r.surely[i] |= 1 << asm.R1
			}
		}
	}
	for changed := true; changed; {
		changed = false
		for i := range n {
			e := effects[i]
			surely, perhaps := r.surely[i]&^e.ends|e.surely, r.perhaps[i]&^e.ends|e.perhaps
			for _, next := range p.next(i) {
				changed = lower(&r.surely[next], r.surely[next]&surely) || changed
				changed = lower(&r.perhaps[next], r.perhaps[next]|perhaps) || changed
			}
		}
		for i := n - 1; i >= 0; i-- {
			after := noRegisters
			for _, next := range p.next(i) {
				after |= r.live[next]
			}
			changed = lower(&r.live[i], r.live[i]|after&^effects[i].ends|effects[i].reads) || changed
		}
	}
	return r
}

// lower stores a set, and tells whether it is another.
func lower(s *set, now set) bool {
	changed := *s != now
	*s = now
	return changed
}

// next are the instructions that may run after one.
func (p *program) next(i int) (all []int) {
	ins := &p.instructions[i]
	if to := p.targets[i]; to >= 0 {
		all = append(all, to)
	}
	if !leaves(ins) && ins.OpCode.JumpOp() != asm.Ja && i+1 < len(p.instructions) && p.function[i+1] == p.function[i] {
		all = append(all, i+1)
	}
	return all
}
