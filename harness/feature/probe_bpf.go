package feature

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"
)

// helper declares a helper function: it is there when each of the program types can call it.
func helper(since string, fn asm.BuiltinFunc, types ...ebpf.ProgramType) *Feature {
	return declare(Feature{Name: HelperName(fn), Kind: Helper, Since: mustParse(since), probe: func() error {
		for _, t := range types {
			if err := features.HaveProgramHelper(t, fn); err != nil {
				return fmt.Errorf("in %s programs: %w", t, err)
			}
		}
		return nil
	}})
}

// HelperName turns the library's FnRedirectPeer into the kernel's bpf_redirect_peer.
func HelperName(fn asm.BuiltinFunc) string {
	var b strings.Builder
	b.WriteString("bpf")
	for _, r := range strings.TrimPrefix(fn.String(), "Fn") {
		if r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToLower(b.String())
}

func mapType(name, since string, t ebpf.MapType, config ...string) *Feature {
	return declare(Feature{Name: name, Kind: MapType, Since: mustParse(since), Config: config,
		probe: func() error { return features.HaveMapType(t) }})
}

// loads tries a program of a type for each of the places where it could be attached.
func loads(t ebpf.ProgramType, places ...ebpf.AttachType) func() error {
	return func() error {
		for _, place := range places {
			prog, err := load(&ebpf.ProgramSpec{Type: t, AttachType: place, Instructions: returns(1)})
			if err != nil {
				return err
			}
			prog.Close()
		}
		return nil
	}
}

// loadsTracing tries a program that is bound to a function or tracepoint of the kernel by its type information.
func loadsTracing(place ebpf.AttachType, target string) func() error {
	return func() error {
		prog, err := load(&ebpf.ProgramSpec{Type: ebpf.Tracing, AttachType: place, AttachTo: target, Instructions: returns(0)})
		if err != nil {
			return err
		}
		return prog.Close()
	}
}

// callsSetRetval tries the helper with an argument that it takes: newer verifiers refuse the library's for that alone.
func callsSetRetval() error {
	prog, err := load(&ebpf.ProgramSpec{Type: ebpf.CGroupSockAddr, AttachType: ebpf.AttachCGroupInet4Connect, Instructions: asm.Instructions{
		asm.Mov.Imm(asm.R1, -1), asm.FnSetRetval.Call(), asm.Mov.Imm(asm.R0, 0), asm.Return(),
	}})
	if err != nil {
		return err
	}
	return prog.Close()
}

// fibTellsMTU looks for the name that the answer has among the helper's parameters.
func fibTellsMTU() error {
	types, err := btf.LoadKernelSpec()
	if err != nil {
		return fmt.Errorf("the kernel does not tell its types: %v", err) // neither yes nor no
	}
	var params *btf.Struct
	if err := types.TypeByName("bpf_fib_lookup", &params); err != nil {
		return nof("the kernel has no such helper: %v", err)
	}
	for _, m := range params.Members {
		if u, ok := m.Type.(*btf.Union); ok && slices.ContainsFunc(u.Members, func(m btf.Member) bool { return m.Name == "mtu_result" }) {
			return nil
		}
	}
	return no("its parameters have no mtu_result")
}

// runLiveFrames sends one frame through an XDP program that drops it.
func runLiveFrames() error {
	prog, err := load(xdpProgram(xdpDrop))
	if err != nil {
		return err
	}
	defer prog.Close()
	verdict, err := prog.Run(&ebpf.RunOptions{Data: make([]byte, 64), Repeat: 1, Flags: unix.BPF_F_TEST_XDP_LIVE_FRAMES})
	if err == nil && verdict == xdpDrop {
		return no("the kernel ignores the flag, and gives the program's verdict back as of any run") // before 5.18
	}
	return asNo(err, unix.EINVAL)
}

const (
	xdpDrop = 1
	xdpPass = 2
)

func xdpProgram(action int32) *ebpf.ProgramSpec {
	return &ebpf.ProgramSpec{Type: ebpf.XDP, Instructions: returns(action)}
}

func tcProgram() *ebpf.ProgramSpec {
	const unspecified = -1 // TCX_NEXT, TC_ACT_UNSPEC
	return &ebpf.ProgramSpec{Type: ebpf.SchedCLS, Instructions: returns(unspecified)}
}

func returns(value int32) asm.Instructions {
	return asm.Instructions{asm.Mov.Imm(asm.R0, value), asm.Return()}
}

// load loads a program. A kernel that does not know its type or place calls it invalid, or too big where the place is said in a field that
// it does not know; a locked-down kernel does not permit it.
func load(spec *ebpf.ProgramSpec) (*ebpf.Program, error) {
	spec.License = "GPL"
	prog, err := ebpf.NewProgramWithOptions(spec, ebpf.ProgramOptions{LogDisabled: true})
	if os.Geteuid() == 0 && errors.Is(err, unix.EPERM) {
		err = nof("not permitted even to root, as in a locked-down kernel: %v", err)
	}
	return prog, asNo(err, unix.EINVAL, unix.E2BIG)
}

// asNo turns the errors by which the kernel says that it does not have something into a no.
func asNo(err error, says ...unix.Errno) error {
	for _, errno := range says {
		if errors.Is(err, errno) {
			return nof("the kernel refuses it: %v", err)
		}
	}
	return err
}
