package vector

import (
	"testing"

	"github.com/cilium/ebpf/asm"
	"github.com/stretchr/testify/require"
)

// Which tail calls a program may make is told by what leads to them, or not at all.
func TestCallsOf(t *testing.T) {
	table := func(r asm.Register) asm.Instruction { return asm.LoadMapPtr(r, 0).WithReference("calls") }
	tail, end := asm.FnTailCall.Call(), asm.Return()
	jump := func(distance int16) asm.Instruction {
		ins := asm.JEq.Imm(asm.R1, 0, "")
		ins.Offset = distance
		return ins
	}
	one := []uint32{1}
	for name, test := range map[string]struct {
		program asm.Instructions
		slots   []uint32 // nil: any
	}{
		"right before":         {asm.Instructions{table(asm.R2), asm.Mov.Imm(asm.R3, 1), tail, end}, one},
		"moved":                {asm.Instructions{table(asm.R6), asm.Mov.Reg(asm.R2, asm.R6), asm.Mov.Imm32(asm.R3, 1), tail, end}, one},
		"two":                  {asm.Instructions{table(asm.R2), asm.Mov.Imm(asm.R3, 1), tail, table(asm.R2), asm.Mov.Imm(asm.R3, 5), tail, end}, []uint32{1, 5}},
		"a slot that is added": {asm.Instructions{table(asm.R2), asm.Mov.Imm(asm.R3, 1), asm.Add.Imm(asm.R3, 1), tail, end}, nil},
		"a slot that is read":  {asm.Instructions{table(asm.R2), asm.LoadMem(asm.R3, asm.R1, 0, asm.Word), tail, end}, nil},
		"of the call before":   {asm.Instructions{table(asm.R2), asm.Mov.Imm(asm.R3, 1), tail, tail, end}, nil},
		// One of two slots: what is loaded last does not tell.
		"ways that join": {asm.Instructions{asm.Mov.Imm(asm.R3, 2), jump(1), asm.Mov.Imm(asm.R3, 1), table(asm.R2), tail, end}, nil},
		"a way past":     {asm.Instructions{jump(4), table(asm.R2), asm.Mov.Imm(asm.R3, 1), tail, end}, one},
	} {
		t.Run(name, func(t *testing.T) {
			found := callsOf(test.program)
			require.Equal(t, test.slots == nil, found.any)
			require.Equal(t, test.slots, found.slots["calls"])
			require.Equal(t, test.slots == nil, found.mayTake("calls", 9))
		})
	}
}
