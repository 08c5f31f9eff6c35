package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"

	cilium "github.com/cilium/ebpf"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/ebpf"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/harness/vector"
	"github.com/skbench/skbench/topo"
)

// program is one that is measured alone, on packets of 1,024 flows in turn.
type program struct {
	name    string // as in C
	of      func(bpf.Programs) *cilium.Program
	arrives func(*bed) topo.Device // the device that the packets come to, or leave by
	from    func(*bed) (src, dst net.HardwareAddr)
	cases   []programCase
}

// programCase is a kind of packets, and what the program has to return for each.
type programCase struct {
	name     string
	src, dst func(*bed) netip.AddrPort // of flow 0; the source port counts up
	answers  bool                      // measured are the answers to these packets
	first    bool                      // every packet is the first of its flow
	verdict  uint32
}

// What programs return: include/uapi/linux/bpf.h and pkt_cls.h.
const (
	xdpPass  = 2
	xdpTX    = 3
	tcOK     = 0
	tcDirect = 7 // TC_ACT_REDIRECT
)

const (
	remotePort = firstNodePort     // of the service whose backends are on another node
	localPort  = firstNodePort + 1 // of that whose backend is here
	noPort     = firstNodePort + 2 // of none
)

// programs are those of bpf that see packets.
var programs = []program{
	{"xdp_entry", func(p bpf.Programs) *cilium.Program { return p.XDPEntry }, (*bed).nic, fromWire, []programCase{
		{"no-service", (*bed).client, nodePort(noPort), false, false, xdpPass},
		{"first-remote", (*bed).client, nodePort(remotePort), false, true, xdpTX},
		{"later-remote", (*bed).client, nodePort(remotePort), false, false, xdpTX},
		{"answer-remote", (*bed).client, nodePort(remotePort), true, false, xdpTX},
		{"later-local", (*bed).client, nodePort(localPort), false, false, xdpPass},
	}},
	{"from_netdev", func(p bpf.Programs) *cilium.Program { return p.FromNetdev }, (*bed).nic, fromWire, []programCase{
		{"to-pod", (*bed).otherPod, (*bed).pod, false, false, tcDirect},
		{"first-remote", (*bed).client, nodePort(remotePort), false, true, tcDirect},
		{"later-remote", (*bed).client, nodePort(remotePort), false, false, tcDirect},
		{"later-local", (*bed).client, nodePort(localPort), false, false, tcDirect},
	}},
	{"from_container", func(p bpf.Programs) *cilium.Program { return p.FromContainer }, (*bed).podDevice, fromPod, []programCase{
		{"same-node", (*bed).pod, (*bed).samePod, false, false, tcDirect},
		{"cross-node", (*bed).pod, (*bed).otherPod, false, false, tcDirect},
		{"first-service", (*bed).pod, (*bed).cluster, false, true, tcDirect},
		{"later-service", (*bed).pod, (*bed).cluster, false, false, tcDirect},
	}},
	{"to_netdev", func(p bpf.Programs) *cilium.Program { return p.ToNetdev }, (*bed).nic, toWire, []programCase{
		{"masquerade", (*bed).pod, (*bed).client, false, false, tcOK},
	}},
}

// bed is the node that the programs are run on, with two pods.
type bed struct {
	lab      *harness.Lab
	topology topo.Topology
	machine  *topo.Machine
	node     *bpf.Node
	flows    int
}

func (b *bed) nic() topo.Device       { return b.device(topo.NIC) }
func (b *bed) podDevice() topo.Device { return b.device(b.topology.Pods[0].Device) }

func (b *bed) device(name string) topo.Device {
	d, _ := b.machine.Device(name) // of the topology's own
	return d
}

func (b *bed) client() netip.AddrPort {
	return netip.AddrPortFrom(topo.BenchmarkIPv4.Addr().Next(), 10000)
}
func (b *bed) pod() netip.AddrPort { return netip.AddrPortFrom(b.topology.Pods[0].IPv4, 10000) }
func (b *bed) samePod() netip.AddrPort {
	return netip.AddrPortFrom(b.topology.Pods[1].IPv4, backendPort)
}
func (b *bed) otherPod() netip.AddrPort {
	return netip.AddrPortFrom(topo.PodIP(topo.PodsIPv4(2), 1), backendPort)
}
func (b *bed) cluster() netip.AddrPort {
	return netip.AddrPortFrom(b.services()[0].ClusterIPv4, backendPort)
}

// nodePort is a port of the node's own address.
func nodePort(port uint16) func(*bed) netip.AddrPort {
	return func(b *bed) netip.AddrPort { return netip.AddrPortFrom(b.machine.IPv4(), port) }
}

func fromWire(b *bed) (src, dst net.HardwareAddr) {
	return b.topology.Hosts[0].MAC, b.topology.Nodes[0].MAC
}
func toWire(b *bed) (src, dst net.HardwareAddr) {
	return b.topology.Nodes[0].MAC, b.topology.Hosts[0].MAC
}
func fromPod(b *bed) (src, dst net.HardwareAddr) {
	return b.topology.Pods[0].MAC, b.topology.Pods[0].DeviceMAC
}

// services are one with backends on another node, and one with its backend here.
func (b *bed) services() []harness.Service {
	services := usual.with(func(t *traffic) { t.services, t.backends = 2, 1 }).served()
	pod := b.topology.Pods[1]
	services[1].Backends = []harness.Backend{{Pod: pod.Name, Node: pod.Node, Port: backendPort, IPv4: pod.IPv4, IPv6: pod.IPv6}}
	return services
}

func newBed(ctx context.Context, flows int) (b *bed, err error) {
	b = &bed{topology: topo.Wire(), flows: flows}
	b.topology.AddPod("client-on-lb", underTest)
	b.topology.AddPod("web-on-lb", underTest)
	datapath := ebpf.Datapath(ebpf.WithoutTrace(), ebpf.WithoutSockets(), ebpf.WithMapSizes(bpf.MapSizes{}))
	if b.lab, err = harness.New(ctx, b.topology, datapath, harness.Unobserved()); err != nil {
		return nil, err
	}
	b.machine, _ = b.lab.Network().Machine(underTest)
	if b.node, err = ebpf.NodePrograms(b.lab, underTest); err == nil {
		err = b.lab.Serve(ctx, b.services())
	}
	if err != nil {
		return nil, errors.Join(err, b.lab.Close())
	}
	return b, nil
}

// programs measures what each program takes of a packet alone ("program", ns/packet).
func (r *run) programs(ctx context.Context) (err error) {
	r.say("programs: bringing up a node")
	b, err := newBed(ctx, usual.flows)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.lab.Close()) }()
	for _, p := range programs {
		for _, c := range p.cases {
			r.say(fmt.Sprintf("programs: %s, %s", p.name, c.name))
			if err := ctx.Err(); err != nil {
				return err
			}
			timing, err := b.measure(p, c, r.cpu, r.rounds/r.fewer, 25*b.flows/r.fewer)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", p.name, c.name, err)
			}
			r.results.add("program", map[string]string{"program": p.name, "case": c.name, "family": "ipv4", "mode": "inline"},
				"ns/packet", timing.Samples, timing.Restoring)
		}
	}
	return nil
}

// measure times a program on the packets of a case.
func (b *bed) measure(p program, c programCase, cpu, samples, iterations int) (timing vector.Timing, err error) {
	if err := b.node.DeleteFlows(); err != nil {
		return timing, err
	}
	packets, err := b.packets(p, c)
	if err != nil {
		return timing, err
	}
	err = b.machine.Do(func() error {
		if err := pin(cpu); err != nil {
			return err
		}
		under := p.of(b.node.Programs)
		timer, err := vector.NewTimer(under, packets...)
		if err != nil {
			return err
		}
		defer timer.Close()
		if c.answers { // to the flows that these packets have opened
			if packets, err = b.answers(p); err != nil {
				return err
			}
			if err := timer.Replace(packets...); err != nil {
				return err
			}
		}
		if c.first {
			timer.Reset, iterations = b.node.DeleteFlows, len(packets)
		}
		timing, err = timer.Measure(samples, iterations)
		return err
	})
	return timing, err
}

// packets are one of each flow.
func (b *bed) packets(p program, c programCase) (packets []vector.Timed, err error) {
	src, dst := c.src(b), c.dst(b)
	for i := range b.flows {
		flow := netip.AddrPortFrom(src.Addr(), src.Port()+uint16(i))
		timed, err := b.packet(p, flow, dst, c.verdict)
		if err != nil {
			return nil, err
		}
		packets = append(packets, timed)
	}
	return packets, nil
}

// answers are what the backends answer to the flows that the node knows.
func (b *bed) answers(p program) (packets []vector.Timed, err error) {
	flows, err := b.node.Flows()
	if err != nil {
		return nil, err
	}
	for _, flow := range flows {
		if !flow.Reply {
			continue
		}
		timed, err := b.packet(p, flow.Src, flow.Dst, xdpTX)
		if err != nil {
			return nil, err
		}
		packets = append(packets, timed)
	}
	return packets, nil
}

// packet is one at the program, with the context that it has there.
func (b *bed) packet(p program, src, dst netip.AddrPort, verdict uint32) (vector.Timed, error) {
	srcMAC, dstMAC := p.from(b)
	built, err := packet.Build(packet.UDP{Src: src, Dst: dst, Payload: make([]byte, usual.payload(0))},
		packet.Defaults{SrcMAC: srcMAC, DstMAC: dstMAC})
	if err != nil {
		return vector.Timed{}, fmt.Errorf("bench: build the packet of %s to %s: %w", src, dst, err)
	}
	device := uint32(p.arrives(b).Index)
	var context any = xdpContext{DataEnd: uint32(len(built.Data)), IngressIfindex: device}
	if p.of(b.node.Programs).Type() == cilium.SchedCLS {
		context = skbContext{IngressIfindex: device, Ifindex: device}
	}
	bytes, err := binary.Append(nil, binary.NativeEndian, context)
	return vector.Timed{Input: vector.Input{Packet: built.Data, Context: bytes}, Code: verdict}, err
}

// skbContext is struct __sk_buff of linux/bpf.h, of which a run may set a part.
type skbContext struct {
	_              [9]uint32
	IngressIfindex uint32
	Ifindex        uint32
	_              [37]uint32
}

// verifier loads every program with its constants as on the bed's node, and records what the
// verifier went through ("program", instructions and states).
func (r *run) verifier() error {
	r.say("programs: verifying")
	topology := topo.Wire()
	node := topology.Nodes[0]
	specs, err := bpf.Specs(bpf.Config{
		IPv4: node.IPv4, IPv6: node.IPv6, GatewayIPv4: node.GatewayIPv4, GatewayIPv6: node.GatewayIPv6, NIC: 1, NICMAC: node.MAC,
	})
	if err != nil {
		return err
	}
	for _, spec := range specs {
		loaded, err := (&vector.Object{Path: "bpf", Spec: spec}).Load(vector.Configuration{Statistics: true})
		if err != nil {
			return err
		}
		for _, v := range loaded.Verified() {
			params := map[string]string{"program": v.Program}
			r.results.add("program", params, "instructions", []float64{float64(v.Instructions)}, nil)
			r.results.add("program", maps.Clone(params), "states", []float64{float64(v.States)}, nil)
		}
		if err := loaded.Close(); err != nil {
			return err
		}
	}
	return nil
}
