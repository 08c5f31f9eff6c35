package harness_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/feature"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// fence is a datapath of one's own: a TC program on the device of every pod lets UDP through and drops all other IPv4. The kernel routes.
type fence struct{}

func (fence) Name() string                { return "fence" }
func (fence) Needs() []*feature.Feature   { return []*feature.Feature{feature.Clsact} }
func (fence) LeavesQuotedChecksums() bool { return false }

// Up loads the program once and attaches it on every node; a real datapath would load its object with ebpf.LoadCollectionSpec.
func (fence) Up(_ context.Context, network *topo.Network, _ func(harness.Hop)) (harness.Forwarder, error) {
	const protocol = 14 + 9 // of an IPv4 header behind an Ethernet one
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "fence", Type: ebpf.SchedCLS, License: "GPL", Instructions: asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1), // where packets are loaded from
		asm.LoadAbs(12, asm.Half),
		asm.JNE.Imm(asm.R0, 0x0800, "pass"),
		asm.LoadAbs(protocol, asm.Byte),
		asm.JEq.Imm(asm.R0, int32(packet.ProtocolUDP), "pass"),
		asm.Mov.Imm(asm.R0, 2), // TC_ACT_SHOT
		asm.Return(),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("pass"), // TC_ACT_OK
		asm.Return(),
	}})
	if err != nil {
		return nil, err
	}
	up := &fenced{program: program}
	for _, pod := range network.Topology().Pods {
		node, _ := network.Machine(pod.Node)
		attachment, err := node.AttachTC(program, pod.Device, topo.In, topo.TCBest)
		if err != nil {
			return nil, errors.Join(err, up.Close())
		}
		up.attached = append(up.attached, attachment)
	}
	return up, nil
}

type fenced struct {
	program  *ebpf.Program
	attached []*topo.Attachment
}

func (f *fenced) Serve(_ context.Context, services []harness.Service) error {
	if len(services) > 0 {
		return fmt.Errorf("fence serves no services, such as %s", services[0].Name)
	}
	return nil
}

func (f *fenced) Forget(context.Context) error                 { return nil } // it knows no flows
func (f *fenced) Drops() (map[string]map[string]uint64, error) { return nil, nil }
func (f *fenced) Sync(context.Context) error                   { return nil } // it reports no hops
func (f *fenced) Lost() (map[string]uint64, error)             { return nil, nil }
func (f *fenced) Phases() []topo.Phase                         { return nil }

func (f *fenced) Close() error {
	var errs []error
	for _, a := range f.attached {
		errs = append(errs, a.Close())
	}
	return errors.Join(append(errs, f.program.Close())...)
}

// A datapath of one's own, and a test on it. Package object does the same for an ELF object, without any code.
func ExampleDatapath() {
	test := func(t *testing.T) {
		lab := harness.Start(t, topo.Cluster(2), fence{})
		client, web := lab.Pod("client-on-node1"), lab.Pod("web-on-node2")

		client.Send(t, packet.UDP{Dst: web.AddrPort(53)})
		query := web.Expect(t, packet.UDP{Dst: web.AddrPort(53)})
		lab.Trace(t, query).Passed(t, "node1/lxc-client in", "node2/eth0 in")

		syn := client.Send(t, packet.TCP{Dst: web.AddrPort(80), Flags: packet.SYN})
		web.ExpectNone(t, packet.TCP{Dst: web.AddrPort(80)})
		lab.Trace(t, syn).Passed(t, "node1/lxc-client in").Never(t, "node1/eth0", "node2")
	}
	exampleTest = test // In a test of your own this is func TestFence(t *testing.T).
}

// exampleTest is what ExampleDatapath shows, for the test that runs it.
var exampleTest func(*testing.T)
