package bpf_test

import (
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
)

// TestStacksFitOldKernels adds up the stacks of functions that call one another, as kernels before 6.9 do: in steps of 32 bytes, of which there are
// 512. Newer ones count in steps of 16, so they would not tell.
func TestStacksFitOldKernels(t *testing.T) {
	t.Parallel()
	const limit, step = 512, 32
	specs, err := bpf.Specs(goodConfig())
	require.NoError(t, err)
	for _, spec := range specs {
		for name, program := range spec.Programs {
			f := functionsOf(program)
			depth, way := f.deepest(name, step)
			require.LessOrEqual(t, depth, limit, "%s: %s", name, strings.Join(way, " calls "))
		}
	}
}

// functions are those of a program: what each takes of the stack, and whom it calls.
type functions struct {
	stack map[string]int
	calls map[string][]string
}

func functionsOf(program *ebpf.ProgramSpec) functions {
	f := functions{map[string]int{}, map[string][]string{}}
	var name string
	var before asm.Instruction
	for _, i := range program.Instructions {
		if symbol := i.Symbol(); symbol != "" {
			name = symbol
		}
		deep := 0
		switch {
		case i.IsFunctionCall():
			f.calls[name] = append(f.calls[name], i.Reference())
		case i.OpCode.Class().IsLoad() && i.Src == asm.RFP, i.OpCode.Class().IsStore() && i.Dst == asm.RFP:
			deep = -int(i.Offset)
		case i.OpCode.Class() == asm.ALU64Class && i.OpCode.ALUOp() == asm.Add && i.OpCode.Source() == asm.ImmSource &&
			before.OpCode.ALUOp() == asm.Mov && before.Src == asm.RFP && before.Dst == i.Dst:
			deep = -int(i.Constant) // the address of something on the stack
		}
		f.stack[name] = max(f.stack[name], deep)
		before = i
	}
	return f
}

// deepest finds the most that a function takes together with those that it calls, and the way there. The verifier lets none call itself.
func (f functions) deepest(name string, step int) (depth int, way []string) {
	for _, called := range f.calls[name] {
		if d, w := f.deepest(called, step); d > depth {
			depth, way = d, w
		}
	}
	own := (max(f.stack[name], 1) + step - 1) / step * step
	return own + depth, append([]string{name}, way...)
}
