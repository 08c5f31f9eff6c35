package bpf_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/harness/vector"
)

// BenchmarkProgram measures what a packet costs bpf_xdp alone: ns/packet, with the packet restored before every run of the
// program and the cost of restoring taken off.
//
//	go test ./bpf -run - -bench Program -benchtime 1x -count 10
func BenchmarkProgram(b *testing.B) {
	const flows = 1024
	for _, c := range []struct {
		name    string
		verdict bpf.Verdict
		flows   int
		backend machine
		idle    int // services beside the one that the packets are for
		answers bool
		forget  bool
		dsr     bool
	}{
		{name: "miss", verdict: bpf.Pass, flows: flows},
		{name: "established-local", verdict: bpf.Pass, flows: flows, backend: podA},
		{name: "established-remote", verdict: bpf.Tx, flows: flows, backend: remote},
		{name: "established-remote", verdict: bpf.Tx, flows: 1, backend: remote},
		{name: "reply", verdict: bpf.Tx, flows: flows, backend: remote, answers: true},
		{name: "new-remote", verdict: bpf.Tx, flows: flows, backend: remote, forget: true},
		{name: "established-dsr", verdict: bpf.Tx, flows: flows, backend: remote, dsr: true},
		{name: "new-dsr", verdict: bpf.Tx, flows: flows, backend: remote, forget: true, dsr: true},
		{name: "established-remote", verdict: bpf.Tx, flows: flows, backend: remote, idle: 99},
		{name: "established-remote", verdict: bpf.Tx, flows: flows, backend: remote, idle: 999},
		{name: "established-remote", verdict: bpf.Tx, flows: flows, backend: remote, idle: 9999},
		{name: "new-remote", verdict: bpf.Tx, flows: flows, backend: remote, forget: true, idle: 99},
		{name: "new-remote", verdict: bpf.Tx, flows: flows, backend: remote, forget: true, idle: 999},
		{name: "new-remote", verdict: bpf.Tx, flows: flows, backend: remote, forget: true, idle: 9999},
	} {
		for _, f := range families {
			b.Run(fmt.Sprintf("prog=bpf_xdp/case=%s/services=%d/flows=%d/family=%s", c.name, 1+c.idle, c.flows, f), func(b *testing.B) {
				sizes := smallMaps
				sizes.Flows, sizes.Services, sizes.Backends, sizes.Slots = 65536, 16384, 16384, 65536
				r := newRigOf(b, sizes, func(config *bpf.Config) { config.Trace, config.DSR = false, c.dsr })
				switch {
				case c.dsr:
					r.serveDirect(b, bpf.UDP, node1.at(f, 30080), c.backend.at(f, 8080))
				case c.backend.ipv4.IsValid():
					r.serve(b, bpf.UDP, node1.at(f, 30080), c.backend.at(f, 8080))
				}
				for i := range c.idle {
					r.serve(b, bpf.UDP, node1.at(f, uint16(40000+i)), c.backend.at(f, uint16(10000+i)))
				}
				var packets []vector.Timed
				for i := range c.flows {
					packets = append(packets, r.timed(b, c.verdict, client, message(bpf.UDP, client.at(f, uint16(20000+i)), node1.at(f, 30080))))
				}
				if c.answers {
					r.timer(b, packets) // opens the flows
					packets = r.answers(b, bpf.UDP)
				}
				r.measure(b, packets, c.forget)
			})
		}
	}
}

// timed is a packet at the NIC that XDP has a verdict on.
func (r *rig) timed(b *testing.B, v bpf.Verdict, from machine, layer packet.Template) vector.Timed {
	b.Helper()
	built, err := packet.Build(packet.Layers{frame(from, node1), layer}, packet.Defaults{})
	require.NoError(b, err)
	context, err := binary.Append(nil, binary.NativeEndian, r.xdp().context(len(built.Data)))
	require.NoError(b, err)
	return vector.Timed{Input: vector.Input{Packet: built.Data, Context: context}, Code: r.xdp().code(v)}
}

// answers are what backends answer to the flows that packets have opened.
func (r *rig) answers(b *testing.B, p bpf.Protocol) (packets []vector.Timed) {
	b.Helper()
	flows, err := r.Flows()
	require.NoError(b, err)
	for _, flow := range flows {
		if flow.Reply {
			packets = append(packets, r.timed(b, bpf.Tx, node2, message(p, flow.Src, flow.Dst)))
		}
	}
	return packets
}

// timer runs XDP on each of the packets once, and is ready to measure.
func (r *rig) timer(b *testing.B, packets []vector.Timed) (timer *vector.Timer) {
	b.Helper()
	r.ns.try(b, func() (err error) {
		timer, err = vector.NewTimer(r.Programs.XDPEntry, packets...)
		return err
	})
	b.Cleanup(func() { require.NoError(b, timer.Close()) })
	return timer
}

// measure reports what XDP takes for each of the packets in turn.
func (r *rig) measure(b *testing.B, packets []vector.Timed, forget bool) {
	b.Helper()
	timer, iterations := r.timer(b, packets), 100*1024
	if forget {
		timer.Reset, iterations = r.DeleteFlows, len(packets)
	}
	var samples []float64
	for b.Loop() {
		r.ns.try(b, func() error {
			timing, err := timer.Measure(9, iterations)
			samples = append(samples, timing.Median())
			return err
		})
	}
	slices.Sort(samples)
	b.ReportMetric(samples[len(samples)/2], "ns/packet")
	b.ReportMetric(0, "ns/op") // that of nine samples, which means nothing
}
