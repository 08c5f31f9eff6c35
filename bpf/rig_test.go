package bpf_test

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness/packet"
)

type family string

const (
	v4 family = "IPv4"
	v6 family = "IPv6"
)

var families = []family{v4, v6}

// protocols are those of the datapath; ICMP stands for ICMPv6 too.
var protocols = []bpf.Protocol{bpf.TCP, bpf.UDP, bpf.ICMP}

// eachFlow runs test for each family and protocol.
func eachFlow(t *testing.T, only []bpf.Protocol, test func(*testing.T, family, bpf.Protocol)) {
	for _, f := range families {
		for _, p := range only {
			t.Run(fmt.Sprintf("%s/%s", f, p), func(t *testing.T) { test(t, f, p) })
		}
	}
}

// message is a packet of a flow, sent or expected. The port of an echo is its identifier: that of src in a request, that of
// dst in a reply, with 0 for the other.
func message(p bpf.Protocol, src, dst netip.AddrPort) packet.Template {
	switch {
	case p == bpf.TCP:
		return packet.TCP{Src: src, Dst: dst, Flags: packet.PSH | packet.ACK}
	case p == bpf.UDP:
		return packet.UDP{Src: src, Dst: dst}
	case dst.Port() != 0:
		return packet.Echo{Src: src.Addr(), Dst: dst.Addr(), Reply: true, ID: dst.Port()}
	default:
		return packet.Echo{Src: src.Addr(), Dst: dst.Addr(), ID: src.Port()}
	}
}

// port is the port that a server of the protocol listens on: none for an echo.
func port(p bpf.Protocol, number uint16) uint16 {
	if p == bpf.ICMP {
		return 0
	}
	return number
}

// hops is an IP header with that TTL or hop limit.
func hops(f family, ttl uint8) packet.Template {
	if f == v6 {
		return packet.IPv6{HopLimit: ttl}
	}
	return packet.IPv4{TTL: ttl}
}

// frame is the Ethernet header of a packet between two machines on one wire.
func frame(from, to machine) packet.Template { return packet.Ethernet{Src: from.mac, Dst: to.mac} }

// rig is the programs of node 1, loaded, their maps filled, and the namespace to run them in.
type rig struct {
	*bpf.Node
	devices
	ns     *namespace
	events *ringbuf.Reader
	cookie uint64
	memory map[string]string // see still
	// unsummed runs TC programs on packets without a sum of all their bytes, which else has to be right behind them too.
	unsummed bool
}

var smallMaps = bpf.MapSizes{
	Flows: 1024, Claims: 4096, Datagrams: 256, Services: 64, Slots: 64, Backends: 64, Pods: 8, Prefixes: 64, EventBytes: 1 << 16,
}

func newRig(t testing.TB, changes ...func(*bpf.Config)) *rig {
	t.Helper()
	return newRigOf(t, smallMaps, changes...)
}

func newRigOf(t testing.TB, sizes bpf.MapSizes, changes ...func(*bpf.Config)) *rig {
	t.Helper()
	ns, devices := newNode1(t)
	config := bpf.Config{
		IPv4: node1.ipv4, IPv6: node1.ipv6,
		GatewayIPv4: lxcA.ipv4, GatewayIPv6: lxcA.ipv6,
		NIC: devices.nic, NICMAC: node1.mac,
		Trace: true,
	}
	for _, change := range changes {
		change(&config)
	}
	node, err := bpf.Load(config, bpf.Options{Sizes: sizes})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, node.Close()) })

	events, err := ringbuf.NewReader(node.Maps.Events)
	require.NoError(t, err)
	t.Cleanup(func() { events.Close() })

	r := &rig{Node: node, devices: devices, ns: ns, events: events}
	for _, e := range []bpf.Endpoint{
		{Device: r.lxcA, MAC: podA.mac, DeviceMAC: lxcA.mac, IPv4: podA.ipv4, IPv6: podA.ipv6},
		{Device: r.lxcB, MAC: podB.mac, DeviceMAC: lxcB.mac, IPv4: podB.ipv4, IPv6: podB.ipv6},
	} {
		require.NoError(t, r.PutEndpoint(e))
	}
	for prefix, entity := range map[string]bpf.Entity{
		"10.0.0.0/8": bpf.EntityPod, "fd00:10::/32": bpf.EntityPod,
		"172.16.0.1/32": bpf.EntityNode, "fd00:172:16::1/128": bpf.EntityNode,
		"172.16.0.2/32": bpf.EntityNode, "fd00:172:16::2/128": bpf.EntityNode,
	} {
		require.NoError(t, r.PutPrefix(netip.MustParsePrefix(prefix), entity))
	}
	return r
}

// serve installs a service of that protocol, reachable from outside too.
func (r *rig) serve(t testing.TB, p bpf.Protocol, frontend netip.AddrPort, backends ...netip.AddrPort) {
	t.Helper()
	require.NoError(t, r.PutService(bpf.Service{
		Frontend: bpf.Frontend{Addr: frontend, Protocol: p}, Backends: at(backends...), External: true,
	}))
}

// at are backends at these addresses.
func at(addrs ...netip.AddrPort) []bpf.Backend {
	var backends []bpf.Backend
	for _, addr := range addrs {
		backends = append(backends, bpf.Backend{Addr: addr})
	}
	return backends
}

// hook is a program where it is attached.
type hook struct {
	point   bpf.Point
	program *ebpf.Program
	device  int
	from    int // device that the packet came in by; 0: made by the node's stack
}

func (r *rig) xdp() hook        { return hook{bpf.AtXDP, r.Programs.XDPEntry, r.nic, r.nic} }
func (r *rig) fromNetdev() hook { return hook{bpf.AtFromNetdev, r.Programs.FromNetdev, r.nic, r.nic} }
func (r *rig) fromA() hook {
	return hook{bpf.AtFromContainer, r.Programs.FromContainer, r.lxcA, r.lxcA}
}
func (r *rig) fromB() hook {
	return hook{bpf.AtFromContainer, r.Programs.FromContainer, r.lxcB, r.lxcB}
}

// toNetdev is where what came in by a device, or was made by the stack (0), leaves the NIC.
func (r *rig) toNetdev(from int) hook {
	return hook{bpf.AtToNetdev, r.Programs.ToNetdev, r.nic, from}
}

// toA is where what came in by a device, or was made by the stack (0), leaves for pod a.
func (r *rig) toA(from int) hook {
	return hook{bpf.AtToContainer, r.Programs.ToContainer, r.lxcA, from}
}

// send runs the program at a hook on a packet and checks what holds of every packet: the verdict is reported once and with
// the packet as it left, its checksums are right, and conntrack is consistent.
func (r *rig) send(t testing.TB, at hook, from, to machine, layers ...packet.Template) outcome {
	t.Helper()
	out := r.offer(t, at, from, to, layers...)
	r.checkFlows(t)
	return out
}

// offer is send for a conntrack that a test has broken.
func (r *rig) offer(t testing.TB, at hook, from, to machine, layers ...packet.Template) outcome {
	t.Helper()
	return r.deliver(t, at, r.build(t, from, to, layers...))
}

// build makes a packet with a cookie of its own.
func (r *rig) build(t testing.TB, from, to machine, layers ...packet.Template) *packet.Packet {
	t.Helper()
	r.cookie++
	built, err := packet.Build(packet.Layers(append([]packet.Template{frame(from, to)}, layers...)), packet.Defaults{Cookie: r.cookie})
	require.NoError(t, err)
	return built
}

// deliver has the program at a hook meet the packet that was built last.
func (r *rig) deliver(t testing.TB, at hook, sent *packet.Packet) outcome {
	t.Helper()
	out := r.run(t, at, sent.Data)
	require.NoError(t, packet.VerifyChecksums(out.Packet), "%s\nbecame %s", sent, out.Packet)
	if lengthOf(sent.Data) == len(sent.Data) {
		require.Equal(t, len(out.Data), lengthOf(out.Data), "the length that the header of %s says", out.Packet)
	}
	cookie, found := out.Packet.Cookie()
	require.True(t, found, "the cookie of %s", out.Packet)
	require.Equal(t, r.cookie, cookie)
	return out
}

// pass hands on what one program let pass to the next.
func (r *rig) pass(t testing.TB, at hook, earlier outcome) outcome {
	t.Helper()
	require.Equal(t, bpf.Pass, earlier.event.Verdict)
	if earlier.handed {
		// What XDP put before the packet is lost: TC would take it for another flow to the same backend. It must know of none.
		flows := entries[[40]byte, [64]byte](t, r.Maps.CT)
		require.NoError(t, r.DeleteFlows())
		defer func() {
			require.NoError(t, r.DeleteFlows())
			for key, flow := range flows {
				require.NoError(t, r.Maps.CT.Put(key, flow))
			}
		}()
	}
	out := r.run(t, at, earlier.Data)
	require.NoError(t, packet.VerifyChecksums(out.Packet), "%s\nbecame %s", earlier.Packet, out.Packet)
	r.checkFlows(t)
	return out
}

// testChecksumComplete is BPF_F_TEST_SKB_CHECKSUM_COMPLETE: the skb has a sum of all its bytes, as from a NIC that makes one, and the run
// fails with EBADMSG if that is not right any more behind the program.
const testChecksumComplete = 1 << 2

// summed tells whether the kernel can (since 6.17).
var summed = sync.OnceValue(func() bool {
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SchedCLS, Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}, License: "GPL",
	})
	if err != nil {
		return false
	}
	defer program.Close()
	_, err = program.Run(&ebpf.RunOptions{Data: make([]byte, 64), Flags: testChecksumComplete})
	return err == nil
})

// run runs the program at a hook on a frame.
func (r *rig) run(t testing.TB, at hook, in []byte) outcome {
	t.Helper()
	options := &ebpf.RunOptions{Data: in, DataOut: make([]byte, len(in)+256), Context: at.context(len(in))}
	if at.point != bpf.AtXDP && at.point != bpf.AtFromNetwork && !r.unsummed && summed() {
		options.Flags = testChecksumComplete
	}
	var code uint32
	r.ns.try(t, func() (err error) {
		code, err = at.program.Run(options)
		if errors.Is(err, unix.EBADMSG) && r.event(t).Target == at.device { // back by its device, which asks for no such sum
			options.Flags, options.DataOut = 0, make([]byte, len(in)+256)
			code, err = at.program.Run(options)
		}
		return err
	})
	out := outcome{event: r.event(t), sent: in}
	data := options.DataOut
	if at.point == bpf.AtXDP && len(data) == out.event.Len+handoffSize {
		out.handed, data = true, data[handoffSize:]
	}
	out.Packet, _ = packet.Decode(data)
	out.changed = string(data) != string(in)

	require.Equal(t, at.point, out.event.Point)
	require.Equal(t, at.device, out.event.Device)
	require.Equal(t, at.code(out.event.Verdict), code, "code of verdict %s", out.event.Verdict)
	require.Equal(t, out.event.Verdict == bpf.Drop || out.event.Verdict == bpf.Reject, out.event.Reason != bpf.NoDrop, "reason %s of verdict %s", out.event.Reason, out.event.Verdict)
	require.Equal(t, len(data), out.event.Len)
	require.Equal(t, data[:min(len(data), 192)], out.event.Data, "the event carries the packet as it left")
	return out
}

// handoffSize is that of struct handoff in lib/handoff.h, which XDP puts before the packet.
const handoffSize = 8

// event reads the one event that a run makes.
func (r *rig) event(t testing.TB) bpf.Event {
	t.Helper()
	require.Equal(t, eventRecord, r.events.AvailableBytes(), "bytes of events: want one event")
	record, err := r.events.Read()
	require.NoError(t, err)
	event, err := bpf.ReadEvent(record.RawSample)
	require.NoError(t, err)
	return event
}

const eventRecord = 8 + 216 // the ring buffer's header and struct event

// code is what a program returns for a verdict.
func (h hook) code(v bpf.Verdict) uint32 {
	if h.point == bpf.AtXDP {
		return map[bpf.Verdict]uint32{bpf.Drop: 1, bpf.Pass: 2, bpf.Tx: 3, bpf.Reject: 3}[v]
	}
	switch v {
	case bpf.Pass:
		return 0 // TC_ACT_OK
	case bpf.Drop:
		return 2 // TC_ACT_SHOT
	}
	return 7 // TC_ACT_REDIRECT
}

// context is the program's context for a frame of size bytes.
func (h hook) context(size int) any {
	if h.point == bpf.AtXDP {
		return struct{ data, dataEnd, dataMeta, ingress, queue, egress uint32 }{dataEnd: uint32(size), ingress: uint32(h.device)}
	}
	return skb{ingressIfindex: uint32(h.from), ifindex: uint32(h.device)}
}

// skb is struct __sk_buff as far as the kernel lets BPF_PROG_RUN set it, and zero beyond.
type skb struct {
	_              [9]uint32
	ingressIfindex uint32
	ifindex        uint32
	_              [37]uint32
}

// checkFlows fails the test unless every translation is undone by another.
func (r *rig) checkFlows(t testing.TB) map[bpf.Tuple]bpf.Flow {
	t.Helper()
	flows, err := r.Flows()
	require.NoError(t, err)
	byTuple := map[bpf.Tuple]bpf.Flow{}
	for _, f := range flows {
		byTuple[f.Tuple] = f
	}
	for _, f := range flows {
		if f.DSR { // the other direction does not come by here
			continue
		}
		other, found := byTuple[f.To.Reverse()]
		require.True(t, found, "%s has no entry for the other direction", f)
		require.Equal(t, f.Tuple.Reverse(), other.To, "%s is not undone by %s", f, other)
		require.NotEqual(t, f.Reply, other.Reply, "%s and %s are of the same direction", f, other)
	}
	return byTuple
}

// entries reads a whole map.
func entries[K comparable, V any](t testing.TB, m *ebpf.Map) map[K]V {
	t.Helper()
	all := map[K]V{}
	var key K
	var value V
	iterator := m.Iterate()
	for iterator.Next(&key, &value) {
		all[key] = value
	}
	require.NoError(t, iterator.Err())
	return all
}
