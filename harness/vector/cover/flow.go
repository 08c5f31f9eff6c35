package cover

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// A position is a place in C source, as the line information says it.
type position struct {
	file string
	line int
}

// A block is instructions of which all run once the first does, except that a call may not return.
type block struct {
	first   int // instruction
	counter int
	lines   []*btf.Line // that it has code of
	branch  *branch     // that ends it; nil: none does
}

// A branch is a conditional jump. How often it was taken is how often its block ran, less how often what follows it did from there.
type branch struct {
	line     *btf.Line
	straight int       // counter of going on behind it
	on, off  *btf.Line // where it leads to if taken, and if not
}

// A program is what is known of the instructions of a program and the functions that it calls.
type program struct {
	instructions asm.Instructions
	raw          []int // of each instruction, where it lies, in units of 8 bytes
	targets      []int // of each jump, the instruction it leads to; else -1
	function     []int // of each instruction, the first one of its function
	blocks       []block
	ends         map[int]*branch // by the instruction behind it, branches that need a counter of their own for going straight on
}

// lineOf is the line that the instruction begins, nil if it goes on with that of the one before.
func lineOf(i *asm.Instruction) *btf.Line {
	line, _ := i.Source().(*btf.Line)
	return line
}

// analyse finds the blocks and branches of a program.
func analyse(instructions asm.Instructions) (*program, error) {
	p := &program{instructions: instructions, ends: map[int]*branch{}}
	if err := p.findTargets(); err != nil {
		return nil, err
	}
	p.findBlocks()
	return p, nil
}

// findTargets resolves jumps, which count in units of 8 bytes.
func (p *program) findTargets() error {
	at, index := 0, map[int]int{}
	function := 0
	for i := range p.instructions {
		ins := &p.instructions[i]
		if ins.Symbol() != "" {
			function = i
		}
		p.function = append(p.function, function)
		p.raw = append(p.raw, at)
		index[at] = i
		at += int(ins.Width())
	}
	p.targets = make([]int, len(p.instructions))
	for i := range p.instructions {
		p.targets[i] = -1
		ins := &p.instructions[i]
		if !jumps(ins) {
			continue
		}
		if ins.Reference() != "" {
			return errors.New("it jumps to labels, not by distances")
		}
		to, ok := index[p.raw[i]+1+distance(ins)]
		if !ok {
			return fmt.Errorf("instruction %d jumps out of the program", i)
		}
		p.targets[i] = to
	}
	return nil
}

// jumps tells whether the instruction leads to another one than the next, always or at times.
func jumps(i *asm.Instruction) bool {
	op := i.OpCode.JumpOp()
	return op != asm.InvalidJumpOp && op != asm.Call && op != asm.Exit
}

// distance is how far a jump leads from the instruction behind it.
func distance(i *asm.Instruction) int {
	if isLong(i) {
		return int(i.Constant)
	}
	return int(i.Offset)
}

// isLong tells a jump of 32 bits.
func isLong(i *asm.Instruction) bool {
	return i.OpCode.Class() == asm.Jump32Class && i.OpCode.JumpOp() == asm.Ja
}

func isConditional(i *asm.Instruction) bool { return jumps(i) && i.OpCode.JumpOp() != asm.Ja }

// leaves tells whether the instruction ends its function.
func leaves(i *asm.Instruction) bool { return i.OpCode.JumpOp() == asm.Exit }

// mayNotReturn tells tail calls. One in a function ends that function alone: what runs in its place returns to its caller.
func mayNotReturn(i *asm.Instruction) bool {
	return i.IsBuiltinCall() && asm.BuiltinFunc(i.Constant) == asm.FnTailCall
}

// findBlocks cuts the program where jumps lead to, and behind what may leave the straight way.
func (p *program) findBlocks() {
	starts := map[int]bool{}
	for i := range p.instructions {
		ins := &p.instructions[i]
		if p.function[i] == i {
			starts[i] = true
		}
		if to := p.targets[i]; to >= 0 {
			starts[to] = true
		}
		if (jumps(ins) || leaves(ins) || mayNotReturn(ins)) && i+1 < len(p.instructions) {
			starts[i+1] = true
		}
	}
	jumpedTo := map[int]bool{}
	for _, to := range p.targets {
		jumpedTo[to] = true
	}
	lines := p.lines(jumpedTo)
	leads := func(to int) *btf.Line { // the first line of a block
		for i := to; i < len(lines) && (i == to || !starts[i]); i++ {
			if lines[i] != nil {
				return lines[i]
			}
		}
		return nil
	}
	for i := range p.instructions {
		if starts[i] {
			p.blocks = append(p.blocks, block{first: i})
		}
		b := &p.blocks[len(p.blocks)-1]
		if line := lines[i]; line != nil && !slices.Contains(b.lines, line) {
			b.lines = append(b.lines, line)
		}
		if isConditional(&p.instructions[i]) && i+1 < len(p.instructions) {
			b.branch = &branch{line: lines[i], on: leads(p.targets[i]), off: leads(i + 1), straight: -1}
			if jumpedTo[i+1] {
				p.ends[i+1] = b.branch
			}
		}
	}
}

// lines gives each instruction its line: nil for what the compiler made of none, or of several. An instruction without a line of its own goes
// on with that of the one before, unless it is also come to from elsewhere: there, the compiler has made one of the code of several lines.
func (p *program) lines(jumpedTo map[int]bool) []*btf.Line {
	all := make([]*btf.Line, len(p.instructions))
	var now *btf.Line
	for i := range p.instructions {
		if p.function[i] == i || jumpedTo[i] {
			now = nil
		}
		if line := lineOf(&p.instructions[i]); line != nil {
			now = line
		}
		if now != nil && now.LineNumber() > 0 {
			all[i] = now
		}
	}
	return all
}

// number numbers the counters of the program from next on, and returns the first number that is left.
func (p *program) number(next int) int {
	at := map[int]int{}
	for i := range p.blocks {
		p.blocks[i].counter = next
		at[p.blocks[i].first] = next
		next++
	}
	for i := range p.blocks {
		b := p.blocks[i].branch
		if b == nil {
			continue
		}
		behind := len(p.instructions)
		if i+1 < len(p.blocks) {
			behind = p.blocks[i+1].first
		}
		if p.ends[behind] == b {
			b.straight = next
			next++
		} else {
			b.straight = at[behind]
		}
	}
	return next
}
