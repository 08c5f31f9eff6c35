package bpf

import (
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/stretchr/testify/require"
)

// TestFenceWaits has a program run for some milliseconds, and waits for it once it has begun.
func TestFenceWaits(t *testing.T) {
	t.Parallel()
	const begun, ended, turns = 1, 2, 20_000
	state, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	require.NoError(t, err)
	defer state.Close()
	put := func(value int32) asm.Instructions {
		return asm.Instructions{
			asm.StoreImm(asm.RFP, -4, 0, asm.Word), asm.StoreImm(asm.RFP, -8, int64(value), asm.Word),
			asm.LoadMapPtr(asm.R1, state.FD()), asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -4),
			asm.Mov.Reg(asm.R3, asm.RFP), asm.Add.Imm(asm.R3, -8), asm.Mov.Imm(asm.R4, 0), asm.FnMapUpdateElem.Call(),
		}
	}
	code := put(begun)
	code = append(code, asm.Mov.Imm(asm.R6, 0), asm.Mov.Imm(asm.R1, 1))
	for at := int16(-512); at < -8; at += 8 {
		code = append(code, asm.StoreMem(asm.RFP, at, asm.R1, asm.DWord))
	}
	code = append(code,
		// A turn adds up half a kilobyte of the stack.
		asm.Mov.Imm(asm.R1, 0).WithSymbol("turn"), asm.Mov.Imm(asm.R2, 0), asm.Mov.Reg(asm.R3, asm.RFP), asm.Add.Imm(asm.R3, -512),
		asm.Mov.Imm(asm.R4, 504), asm.Mov.Imm(asm.R5, 0), asm.FnCsumDiff.Call(),
		asm.Add.Imm(asm.R6, 1), asm.JLT.Imm(asm.R6, turns, "turn"))
	code = append(append(code, put(ended)...), asm.Mov.Imm(asm.R0, 0), asm.Return())
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "slow", Type: ebpf.SchedCLS, License: "GPL", Instructions: code})
	require.NoError(t, err)
	defer program.Close()

	now := func() (value uint32) {
		require.NoError(t, state.Lookup(uint32(0), &value))
		return value
	}
	var f fence
	defer f.close()
	require.NoError(t, f.wait()) // it makes what it needs
	for waited := false; !waited; {
		require.NoError(t, state.Put(uint32(0), uint32(0)))
		done := make(chan error, 1)
		go func() {
			_, err := program.Run(&ebpf.RunOptions{Data: make([]byte, 64)})
			done <- err
		}()
		for now() == 0 {
		}
		if now() == begun { // else it was too quick to be seen
			require.NoError(t, f.wait())
			require.EqualValues(t, ended, now(), "the program was still running")
			waited = true
		}
		require.NoError(t, <-done)
	}
}
