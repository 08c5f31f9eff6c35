package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/ci/matrix/job"
	"github.com/skbench/skbench/harness/feature"
	"github.com/skbench/skbench/harness/vector"
)

func TestWhatTheVerifierSays(t *testing.T) {
	for log, missing := range map[string]string{
		"12: (85) call unknown#181\ninvalid func unknown#181":                              "bpf_loop", // before 5.17
		"12: (85) call bpf_loop#181\nunknown func bpf_loop#181":                            "bpf_loop",
		"program of this type cannot use helper bpf_redirect_peer#155":                     "bpf_redirect_peer", // since 6.9
		"calling kernel function bpf_ct_lookup is not allowed":                             "bpf_ct_lookup",
		"R1 invalid mem access 'scalar'\nprocessed 3 insns (limit 1000000) total_states 1": "",
	} {
		require.Equal(t, missing, lacking(log), log)
	}
	since, ok := sinceWhen("bpf_loop")
	require.True(t, ok)
	require.Equal(t, "5.17", since)
	_, ok = sinceWhen("bpf_warp")
	require.False(t, ok)
	instructions, states := counted("x\nprocessed 27892 insns (limit 1000000) max_states_per_insn 4 total_states 900 peak_states 800 mark_read 20\n")
	require.Equal(t, []uint64{27892, 900}, []uint64{instructions, states})
}

// TestPrograms tries programs that this kernel takes, rejects, and cannot know.
func TestPrograms(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	program := func(instructions ...asm.Instruction) *ebpf.ProgramSpec {
		return &ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "GPL", Instructions: append(asm.Instructions(instructions), asm.Mov.Imm(asm.R0, 0), asm.Return())}
	}
	spec := &ebpf.CollectionSpec{
		Maps: map[string]*ebpf.MapSpec{
			"pinned": {Name: "pinned", Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1, Pinning: ebpf.PinByName},
			"calls": {Name: "calls", Type: ebpf.ProgramArray, KeySize: 4, ValueSize: 4, MaxEntries: 1,
				Contents: []ebpf.MapKV{{Key: uint32(0), Value: "good"}}},
		},
		Programs: map[string]*ebpf.ProgramSpec{
			"good":   program(asm.Mov.Imm(asm.R1, 1)),
			"bad":    program(asm.LoadMem(asm.R2, asm.R3, 0, asm.Word)),
			"future": program(asm.BuiltinFunc(9999).Call()),
		},
	}
	cells := programs("object x.o", spec)
	require.Len(t, cells, 3)
	bad, future, good := cells[0], cells[1], cells[2]
	require.Equal(t, job.Pass, good.State, good.Reason)
	require.Positive(t, good.Instructions)
	require.Equal(t, job.Fail, bad.State)
	require.Contains(t, bad.Log, "!read_ok", "the verifier's whole log")
	require.Equal(t, job.Unsupported, future.State)
	require.NotEmpty(t, future.Feature)
	require.Equal(t, ebpf.PinByName, spec.Maps["pinned"].Pinning, "the caller's stays as it is")
}

func TestObjectFiles(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	cells := object("object mirror.o", "../../../harness/vector/testdata/mirror_bpfel.o")
	require.NotEmpty(t, cells)
	for _, cell := range cells {
		require.Equal(t, job.Pass, cell.State, cell.Reason)
	}
	text := filepath.Join(t.TempDir(), "text.o")
	require.NoError(t, os.WriteFile(text, []byte("text"), 0o644))
	cells = object("object text.o", text)
	require.Len(t, cells, 1)
	require.Equal(t, job.Fail, cells[0].State)
	require.Contains(t, cells[0].Reason, "it cannot be read")
}

// TestDatapath tries all programs of skbench's own.
func TestDatapath(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	cells := datapath()
	require.Greater(t, len(cells), 5)
	lacks := feature.EBPFDatapath.Check().State != feature.Yes
	for _, cell := range cells {
		if !lacks {
			require.Equal(t, job.Pass, cell.State, "%s: %s", cell.Name, cell.Reason)
			require.Positive(t, cell.Instructions, cell.Name)
		}
	}
}

func TestVectors(t *testing.T) {
	failure := &vector.Failure{Differences: "verdict: got 1, want 2\nmore"}
	got := vectors("suite", &vector.Result{Suite: "mirror", Vectors: []vector.VectorResult{{Name: "a"}, {Name: "b", Failure: failure}},
		Err: fmt.Errorf("map: %w", ebpf.ErrNotSupported)})
	require.Equal(t, []job.State{job.Pass, job.Fail, job.Unsupported}, []job.State{got[0].State, got[1].State, got[2].State})
	require.Equal(t, "verdict: got 1, want 2", got[1].Reason)
	require.Equal(t, []string{"mirror/a", "mirror/b", "mirror"}, []string{got[0].Name, got[1].Name, got[2].Name})
	lacks := &vector.Unsupported{Feature: "context of XDP programs (BPF_PROG_RUN)", Since: "5.14", Err: unix.EINVAL}
	got = vectors("suite", &vector.Result{Suite: "mirror", Err: fmt.Errorf("mirror.yaml:3: %w", lacks)})
	require.Equal(t, job.Unsupported, got[0].State)
	require.Equal(t, "needs context of XDP programs (BPF_PROG_RUN)", got[0].Reason)
	require.Equal(t, []string{lacks.Feature, "5.14"}, []string{got[0].Feature, got[0].Since})
	got = vectors("suite", &vector.Result{Suite: "mirror", Err: errors.New("no such file")})
	require.Equal(t, job.Fail, got[0].State)
}
