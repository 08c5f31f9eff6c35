package main

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/ci/matrix/job"
	"github.com/skbench/skbench/harness/feature"
)

// object tries the programs of an ELF file.
func object(suite, file string) []job.Cell {
	spec, err := ebpf.LoadCollectionSpec(file)
	if err != nil {
		return []job.Cell{{Suite: suite, Name: "(the object)", State: job.Fail, Reason: "it cannot be read: " + err.Error()}}
	}
	return programs(suite, spec)
}

// datapath tries skbench's own programs as a node loads them in production: without tracing.
func datapath() (cells []job.Cell) {
	const suite = "object skbench"
	lacks := func(f *feature.Feature) bool { return f.Check().State == feature.No }
	specs, err := bpf.Specs(bpf.Config{
		IPv4: netip.MustParseAddr("172.16.0.1"), IPv6: netip.MustParseAddr("fd00:172:16::1"),
		GatewayIPv4: netip.MustParseAddr("10.0.1.254"), GatewayIPv6: netip.MustParseAddr("fd00:10:0:1::254"),
		NIC: 2, NICMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, NetNSCookie: 1,
		WithoutRedirectPeer: lacks(feature.RedirectPeer), WithoutRedirectNeigh: lacks(feature.RedirectNeigh), WithoutSetRetval: lacks(feature.SetRetval),
	})
	if err != nil {
		return []job.Cell{{Suite: suite, Name: "(the objects)", State: job.Fail, Reason: err.Error()}}
	}
	for _, spec := range specs {
		cells = append(cells, programs(suite, spec)...)
	}
	return cells
}

// programs tries each program by itself, so that one that is rejected hinders no other.
func programs(suite string, spec *ebpf.CollectionSpec) (cells []job.Cell) {
	for _, name := range slices.Sorted(maps.Keys(spec.Programs)) {
		cell := job.Cell{Suite: suite, Name: name}
		alone(spec, name).try(&cell)
		cells = append(cells, cell)
	}
	return cells
}

// The verifier looks at no hash's size, and to make large ones for each program would take longer than to verify it.
const fewEntries = 1024

var hashes = []ebpf.MapType{
	ebpf.Hash, ebpf.PerCPUHash, ebpf.LRUHash, ebpf.LRUCPUHash, ebpf.LPMTrie, ebpf.SockHash, ebpf.HashOfMaps,
}

// one is a program with its maps, and nothing else.
type one struct {
	*ebpf.CollectionSpec
	name string
}

func alone(spec *ebpf.CollectionSpec, name string) one {
	spec = spec.Copy()
	for other := range spec.Programs {
		if other != name {
			delete(spec.Programs, other)
		}
	}
	for _, m := range spec.Maps {
		m.Pinning = ebpf.PinNone // Nothing may outlive the probe, or be shared with what is there.
		if slices.Contains(hashes, m.Type) && len(m.Contents) == 0 {
			m.MaxEntries = min(m.MaxEntries, fewEntries)
		}
		if m.Type == ebpf.ProgramArray {
			m.Contents = nil // programs that are left out
		}
	}
	return one{spec, name}
}

// try loads the program and says what came of it.
func (o one) try(cell *job.Cell) {
	loaded, err := o.load(ebpf.LogLevelStats)
	if err == nil {
		defer loaded.Close()
		program := loaded.Programs[o.name]
		cell.State = job.Pass
		cell.Instructions, cell.States = counted(program.VerifierLog)
		if info, err := program.Info(); err == nil {
			if n, ok := info.VerifiedInstructions(); ok {
				cell.Instructions = uint64(n)
			}
		}
		return
	}
	// Statistics alone do not say what was wrong.
	loaded, again := o.load(ebpf.LogLevelInstruction | ebpf.LogLevelStats)
	if again == nil {
		loaded.Close()
		again = fmt.Errorf("rejected once and accepted the next time: %w", err)
	}
	cell.State, cell.Reason = job.Fail, firstLine(again.Error())
	log := again.Error()
	var complaint *ebpf.VerifierError
	if errors.As(again, &complaint) {
		log = strings.Join(complaint.Log, "\n")
	}
	cell.Log = log
	cell.Instructions, cell.States = counted(log)
	if missing := lacking(log); missing != "" {
		cell.State, cell.Feature = job.Unsupported, missing
		cell.Reason = "needs " + missing
		if since, ok := sinceWhen(missing); ok {
			cell.Since = since
		}
	} else if errors.Is(again, ebpf.ErrNotSupported) {
		cell.State = job.Unsupported
	}
}

func (o one) load(level ebpf.LogLevel) (*ebpf.Collection, error) {
	return ebpf.NewCollectionWithOptions(o.Copy(), ebpf.CollectionOptions{Programs: ebpf.ProgramOptions{LogLevel: level}})
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// processed is how the verifier sums up: processed 123 insns (limit 1000000) max_states_per_insn 4 total_states 20 peak_states 20 mark_read 5.
var processed = regexp.MustCompile(`processed (\d+) insns .*total_states (\d+)`)

func counted(log string) (instructions, states uint64) {
	if m := processed.FindStringSubmatch(log); m != nil {
		instructions, _ = strconv.ParseUint(m[1], 10, 64)
		states, _ = strconv.ParseUint(m[2], 10, 64)
	}
	return instructions, states
}

// By these the verifier says that it does not know what a program calls.
var (
	unknownHelper = regexp.MustCompile(`(?:unknown func|invalid func|program of this type cannot use helper) (\w+)#(\d+)`)
	unknownKfunc  = regexp.MustCompile(`(?:calling kernel function|kernel function) (\w+) (?:is not allowed|not found)|kfunc (\w+) (?:is )?not (?:found|supported)`)
)

// lacking names the helper or kernel function that a rejected program calls and the kernel does not have; empty if it was rejected for something else.
func lacking(log string) string {
	if m := unknownHelper.FindStringSubmatch(log); m != nil {
		if number, err := strconv.Atoi(m[2]); err == nil {
			return feature.HelperName(asm.BuiltinFunc(number))
		}
	}
	if m := unknownKfunc.FindStringSubmatch(log); m != nil {
		return m[1] + m[2]
	}
	return ""
}

// sinceWhen is the first release that has a helper, where the table of features knows it.
func sinceWhen(name string) (string, bool) {
	since, ok := feature.Since(name)
	return since.String(), ok
}
