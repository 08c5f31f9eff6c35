package ebpf_test

import (
	"testing"

	cilium "github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/ebpf"
	"github.com/skbench/skbench/harness/feature"
	"github.com/skbench/skbench/topo"
)

func TestLostHopsAreCounted(t *testing.T) {
	t.Parallel()
	feature.Need(t, feature.EBPFDatapath)
	network, err := topo.Up(t.Context(), topo.Cluster(2))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, network.Close()) })
	held := make(chan struct{})
	up, err := ebpf.Datapath(ebpf.WithoutSockets()).Up(t.Context(), network, func(harness.Hop) { <-held })
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, up.Close()) })

	_, err = ebpf.FirstPrograms(up).Programs.ToNetdev.Run(&cilium.RunOptions{Data: make([]byte, 64), Repeat: 40000}) // 18,700 fit
	close(held)
	require.NoError(t, err)
	lost, err := up.Lost()
	require.NoError(t, err)
	require.Greater(t, lost["node1"], uint64(20000))
	require.Zero(t, lost["node2"])
	require.NoError(t, up.Sync(t.Context()), "what was not lost is observed")
}

// A sync must not wait for ever for a reader that has ended.
func TestEventsThatNobodyCanRead(t *testing.T) {
	t.Parallel()
	feature.Need(t, feature.EBPFDatapath)
	network, err := topo.Up(t.Context(), topo.Wire())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, network.Close()) })
	events, err := ebpf.NewEvents(network, func(h harness.Hop) { t.Error("observed ", h) })
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, events.Close()) })

	program, err := cilium.NewProgram(&cilium.ProgramSpec{Type: cilium.SchedCLS, Instructions: asm.Instructions{
		asm.Mov.Imm(asm.R1, 0),
		asm.StoreMem(asm.RFP, -8, asm.R1, asm.DWord),
		asm.LoadMapPtr(asm.R1, events.Ring.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -8),
		asm.Mov.Imm(asm.R3, 8),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnRingbufOutput.Call(),
		asm.Mov.Imm(asm.R0, 0),
		asm.Return(),
	}})
	require.NoError(t, err)
	defer program.Close()
	_, err = program.Run(&cilium.RunOptions{Data: make([]byte, 64)})
	require.NoError(t, err)
	require.ErrorContains(t, events.Sync(t.Context()), "event of 8 bytes")
}
