package cover

import (
	"fmt"
	"math"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// withCounters returns the program with a counter at the start of each block, and behind those branches whose block is reached by jumps
// too: these lead past it. The counters are those of an array with that descriptor.
func (p *program) withCounters(fd int) (asm.Instructions, error) {
	known, depth := p.registers(), p.depths()
	var out asm.Instructions
	starts := make([]int, len(p.instructions)) // of each instruction, where it is now, in units of 8 bytes; for jumps
	jumpAt := make([]int, len(p.instructions))
	at, next := 0, 0
	for i := range p.instructions {
		ins := p.instructions[i]
		var before asm.Instructions
		start := at
		if next < len(p.blocks) && p.blocks[next].first == i {
			use, err := known.choose(i, depth[p.function[i]])
			if err != nil {
				return nil, err
			}
			if b := p.ends[i]; b != nil {
				before = use.count(fd, b.straight)
				start += width(before)
			}
			before = append(before, use.count(fd, p.blocks[next].counter)...)
			next++
		}
		if len(before) > 0 {
			ins = moveStart(&before[0], ins)
		}
		starts[i] = start
		out = append(append(out, before...), ins)
		jumpAt[i] = at + width(before)
		at = jumpAt[i] + int(ins.Width())
	}
	return out, p.aim(out, starts, jumpAt)
}

// moveStart has the function that begins with an instruction begin with the first counter in place of it, and returns the
// instruction without what says so.
func moveStart(first *asm.Instruction, ins asm.Instruction) asm.Instruction {
	if line := ins.Source(); line != nil {
		*first = first.WithSource(line)
	}
	symbol := ins.Symbol()
	if symbol == "" {
		return ins
	}
	*first = first.WithSymbol(symbol)
	if function := btf.FuncMetadata(&ins); function != nil {
		*first = btf.WithFuncMetadata(*first, function)
		ins = btf.WithFuncMetadata(ins, nil)
	}
	return ins.WithSymbol("")
}

// aim has jumps lead to where their targets are now.
func (p *program) aim(out asm.Instructions, starts, jumpAt []int) error {
	i := 0
	at := 0
	for j := range out {
		ins := &out[j]
		if i < len(jumpAt) && at == jumpAt[i] {
			if to := p.targets[i]; to >= 0 {
				far := starts[to] - at - 1
				switch {
				case isLong(ins):
					ins.Constant = int64(far)
				case far < math.MinInt16 || far > math.MaxInt16:
					return fmt.Errorf("with counters, it would be too large: a jump over %d instructions", far)
				default:
					ins.Offset = int16(far)
				}
			}
			i++
		}
		at += int(ins.Width())
	}
	return nil
}

func width(instructions asm.Instructions) (n int) {
	for i := range instructions {
		n += int(instructions[i].Width())
	}
	return n
}

// use is two registers for counting, and where on the stack they are kept meanwhile if they hold what is read later.
type use struct {
	pointer, one asm.Register
	kept         []keep
}

type keep struct {
	register asm.Register
	offset   int16 // from the frame pointer
}

// choose chooses registers before an instruction of a function that uses so many bytes of the stack.
func (r registers) choose(i, depth int) (use, error) {
	var chosen []asm.Register
	u := use{}
	for register := asm.R0; register <= asm.R9; register++ {
		if !r.live[i].has(register) || !r.perhaps[i].has(register) {
			chosen = append(chosen, register)
		}
	}
	for register := asm.R9; register <= asm.R9 && len(chosen) < 2; register-- { // down to 0: it is unsigned
		if r.live[i].has(register) && r.surely[i].has(register) {
			chosen = append(chosen, register)
			u.kept = append(u.kept, keep{register, int16(-depth - 8*(len(u.kept)+1))})
		}
	}
	if len(chosen) < 2 {
		return use{}, fmt.Errorf("no register can be used before instruction %d", i)
	}
	u.pointer, u.one = chosen[0], chosen[1]
	return u, nil
}

// count adds one to a counter.
func (u use) count(fd, counter int) (out asm.Instructions) {
	for _, k := range u.kept {
		out = append(out, asm.StoreMem(asm.RFP, k.offset, k.register, asm.DWord))
	}
	out = append(out,
		asm.LoadMapValue(u.pointer, fd, uint32(8*counter)),
		asm.Mov.Imm(u.one, 1),
		asm.AddAtomic.Mem(u.pointer, u.one, asm.DWord, 0),
	)
	for _, k := range u.kept {
		out = append(out, asm.LoadMem(k.register, asm.RFP, k.offset, asm.DWord))
	}
	return out
}

// depths gives each function, by its first instruction, a number of bytes of the stack beyond which it uses none; a multiple of 8.
func (p *program) depths() map[int]int {
	deepest := map[int]int{}
	for i := range p.instructions {
		ins, deep := &p.instructions[i], 0
		class := ins.OpCode.Class()
		switch {
		case class.IsStore() && ins.Dst == asm.RFP, class == asm.LdXClass && ins.Src == asm.RFP:
			deep = -int(ins.Offset)
		case class == asm.ALU64Class && ins.OpCode.ALUOp() == asm.Add && ins.OpCode.Source() == asm.ImmSource && i > 0:
			before := &p.instructions[i-1]
			if before.OpCode.ALUOp() == asm.Mov && before.Src == asm.RFP && before.Dst == ins.Dst {
				deep = -int(ins.Constant)
			}
		}
		f := p.function[i]
		deepest[f] = max(deepest[f], (deep+7)&^7)
	}
	return deepest
}
