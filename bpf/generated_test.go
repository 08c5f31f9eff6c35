package bpf_test

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness/model"
)

// TestGeneratedFlows holds the programs against the model over random sequences of packets and changes of services, until
// 10,000 flows were opened. Every packet goes where the model allows, with right checksums and a hop less; no two flows share a tuple, each
// direction undoes the other, and conntrack has two entries for each flow that is left, and no more. What fails is shortened, and told as
// a suite.
func TestGeneratedFlows(t *testing.T) {
	t.Parallel()
	sizes := smallMaps
	sizes.Flows = 16384  // four times what a sequence opens at most: nothing is evicted
	sizes.Claims = 65536 // so many that no port is refused for the tuples that it shares a set with
	r := newRigOf(t, sizes)
	var last *generated // that which fails, once it is as short as can be
	t.Cleanup(func() {
		if t.Failed() {
			file, text := reproduce(t, "", last.sequence)
			t.Logf("as a suite, for skbench vectors %s:\n%s", file, text)
		}
	})
	for opened := 0; opened < 10_000; {
		checkGenerated(t, func(tb testing.TB, rt *rapid.T) {
			g := newGenerated(tb, r)
			g.ingress = drawIngress.Draw(rt, "ingress")
			last = g
			for range 4 {
				g.serve(rt)
			}
			rt.Repeat(map[string]func(*rapid.T){
				"serve":    g.serve,
				"withdraw": g.withdraw,
				"open":     g.open,
				"open too": g.open, // more often than the others
				"go on":    g.goOn,
				"answer":   g.answer,
				"stray":    g.stray,
				"expire":   g.expire,
				"":         func(*rapid.T) { g.consistent() },
			})
			opened += g.opened
		})
	}
}

// checkGenerated holds a property over generated sequences. Beside the one that rapid shortens it tells what failed first: when a failure
// does not come again, rapid tells only where it was.
func checkGenerated(t *testing.T, property func(testing.TB, *rapid.T)) {
	t.Helper()
	var first string
	defer func() { // also where rapid ends the test
		if first != "" {
			t.Logf("what failed first, before it was shortened:%s", first)
		}
	}()
	rapid.Check(t, func(sequence *rapid.T) { property(generatedTB{t, sequence, &first}, sequence) })
}

// generatedTB lets what takes a testing.TB fail one generated sequence, which rapid then shortens.
type generatedTB struct {
	testing.TB
	sequence *rapid.T
	first    *string // that any sequence failed with
}

func (g generatedTB) Helper()  { g.sequence.Helper() }
func (g generatedTB) FailNow() { g.sequence.FailNow() }

func (g generatedTB) Errorf(format string, a ...any) {
	g.sequence.Helper()
	if *g.first == "" {
		*g.first = fmt.Sprintf(format, a...)
	}
	g.sequence.Errorf(format, a...)
}

// generated is one sequence: the programs, and the model that knows what they did.
type generated struct {
	t        testing.TB
	rig      *rig
	node     model.Node
	opened   int
	ingress  string // what meets packets from outside
	sequence []played
}

func newGenerated(t testing.TB, r *rig) *generated {
	g := &generated{t: t, rig: r, node: model.Node{
		Addrs:   []netip.Addr{node1.ipv4, node1.ipv6},
		Pods:    []netip.Addr{podA.ipv4, podA.ipv6, podB.ipv4, podB.ipv6},
		MinPort: bpf.DefaultSNATPorts.Min, MaxPort: bpf.DefaultSNATPorts.Max,
	}}
	for _, frontend := range frontends {
		require.NoError(t, r.DeleteService(raw(frontend)))
	}
	require.NoError(t, r.DeleteFlows())
	return g
}

// frontends are those that services come and go at: few, so that services change under their flows.
var frontends = []model.Frontend{
	{Addr: node1.at(v4, 30080), Protocol: uint8(bpf.TCP)}, {Addr: node1.at(v4, 30081), Protocol: uint8(bpf.TCP)},
	{Addr: node1.at(v4, 30080), Protocol: uint8(bpf.UDP)},
	{Addr: node1.at(v6, 30080), Protocol: uint8(bpf.TCP)}, {Addr: node1.at(v6, 30081), Protocol: uint8(bpf.TCP)},
	{Addr: node1.at(v6, 30080), Protocol: uint8(bpf.UDP)},
}

func raw(f model.Frontend) bpf.Frontend {
	return bpf.Frontend{Addr: f.Addr, Protocol: bpf.Protocol(f.Protocol)}
}

var (
	// Sequences that fail either way are shortened to such of one program, which suites can say.
	drawIngress  = rapid.SampledFrom([]string{"XDP", "TC", "either", "either"})
	drawFamily   = rapid.SampledFrom(families)
	drawProtocol = rapid.SampledFrom(balanced)
	drawFrontend = rapid.SampledFrom(frontends)
	drawClient   = rapid.SampledFrom([]machine{client, silent, world})
	// Few ports, so that tuples meet again; some are those of source translation.
	drawPort = rapid.OneOf(rapid.Uint16Range(40000, 40020), rapid.Uint16Range(49152, 49160), rapid.Uint16Min(1))
)

func (g *generated) serve(t *rapid.T) {
	frontend := drawFrontend.Draw(t, "frontend")
	f := familyAt(frontend.Addr)
	all := []netip.AddrPort{podA.at(f, 8080), podB.at(f, 8080), remote.at(f, 8080), remote2.at(f, 8080), remote.at(f, 8081)}
	backends := slices.Compact(slices.SortedFunc(slices.Values(rapid.SliceOfN(rapid.SampledFrom(all), 0, 5).Draw(t, "backends")), netip.AddrPort.Compare))
	g.change(func(r *rig) error {
		return r.PutService(bpf.Service{Frontend: raw(frontend), Backends: at(backends...), External: true})
	})
	g.node.Serve(frontend, backends...)
}

func (g *generated) withdraw(t *rapid.T) {
	frontend := drawFrontend.Draw(t, "frontend")
	g.change(func(r *rig) error { return r.DeleteService(raw(frontend)) })
	g.node.Withdraw(frontend)
}

// change changes the node's state.
func (g *generated) change(change func(*rig) error) {
	g.sequence = append(g.sequence, played{change: change})
	require.NoError(g.t, change(g.rig))
}

// open sends the first packets of some flows; a few of them are under way already.
func (g *generated) open(t *rapid.T) {
	frontend := drawFrontend.Draw(t, "frontend")
	for range rapid.SampledFrom([]int{1, 16, 64, 256}).Draw(t, "flows") {
		from := drawClient.Draw(t, "client")
		f := familyAt(frontend.Addr)
		before := len(g.node.Flows())
		g.send(t, from, model.Flow{Src: from.at(f, drawPort.Draw(t, "source port")), Dst: frontend.Addr, Protocol: frontend.Protocol})
		g.opened += len(g.node.Flows()) - before
	}
}

func (g *generated) goOn(t *rapid.T) {
	flow := g.drawFlow(t)
	g.send(t, machineOf(flow.Src.Addr()), flow)
}

func (g *generated) answer(t *rapid.T) {
	answer, _ := g.node.Answer(g.drawFlow(t))
	g.send(t, machineOf(answer.Src.Addr()), answer)
}

// stray sends what looks like an answer and belongs to nothing, unless by chance.
func (g *generated) stray(t *rapid.T) {
	f := drawFamily.Draw(t, "family")
	port := rapid.OneOf(rapid.Uint16Range(49152, 49160), rapid.Uint16Min(1024)).Filter(func(port uint16) bool { return port < 30080 || port > 30081 })
	g.send(t, remote, model.Flow{Src: remote.at(f, 8080), Dst: node1.at(f, port.Draw(t, "port")), Protocol: uint8(drawProtocol.Draw(t, "protocol"))})
}

// expire removes both directions of a flow, as the collection of expired flows does.
func (g *generated) expire(t *rapid.T) {
	flow := g.drawFlow(t)
	removed, err := g.rig.ExpireFlow(bpf.Tuple{Src: flow.Src, Dst: flow.Dst, Protocol: bpf.Protocol(flow.Protocol)}, math.MaxUint64)
	require.NoError(g.t, err)
	require.Equal(g.t, 2, removed)
	g.node.Forget(flow)
}

// send sends a packet to the hook that it would come by, and tells the model what happened.
func (g *generated) send(t *rapid.T, from machine, in model.Flow) {
	at, to := atXDP, node1
	switch {
	case from.ipv4 == podA.ipv4:
		at, to = atFromA, lxcA
	case from.ipv4 == podB.ipv4:
		at, to = atFromB, lxcB
	case g.ingress == "TC", g.ingress == "either" && rapid.Bool().Draw(t, "TC"): // whatever XDP did with the flow's other packets
		at = atFromNetdev
	}
	built := g.rig.build(g.t, from, to, message(bpf.Protocol(in.Protocol), in.Src, in.Dst))
	p := played{at: at, in: in, frame: built.Data, cookie: g.rig.cookie}
	p.fate, p.out, p.certain = g.node.Right(in)
	_, known := g.node.Answer(in)
	if flows := g.node.Flows(); len(flows) <= few {
		p.known = map[model.Flow]model.Flow{}
		for _, flow := range flows {
			answer, _ := g.node.Answer(flow)
			p.known[flow], p.known[answer] = answer.Reverse(), flow.Reverse()
		}
	}
	p.flows, p.opens = len(g.node.Flows()), !known && (!p.certain || p.fate == model.Local || p.fate == model.Remote)
	g.sequence = append(g.sequence, p)
	out := g.rig.deliver(g.t, at.hook(g.rig), built)
	became := model.Flow{Src: out.Src(), Dst: out.Dst(), Protocol: in.Protocol}
	require.NoError(g.t, g.node.Saw(in, out.fate(), became))
	if out.fate() == model.Remote || out.event.Verdict == bpf.RedirectPeer { // forwarded, and not left for another program to forward
		out.became(g.t, hops(familyAt(in.Src), 63))
	}
	if p := &g.sequence[len(g.sequence)-1]; p.opens { // what it chose was allowed
		p.fate, p.out, p.certain = out.fate(), became, true
	}
	if len(g.node.Flows()) <= few {
		g.consistent()
	}
}

// few flows are looked at after every packet, more of them after every action.
const few = 8

// consistent fails the test unless conntrack has the flows of the model, and no more.
func (g *generated) consistent() { require.Len(g.t, g.rig.checkFlows(g.t), 2*len(g.node.Flows())) }

// fate is the outcome in the model's words.
func (o outcome) fate() model.Fate {
	switch {
	case o.event.Reason != bpf.NoDrop:
		return model.Dropped
	case o.event.Verdict == bpf.RedirectPeer, o.event.Verdict == bpf.Pass && o.changed:
		return model.Local
	case o.event.Verdict == bpf.Pass:
		return model.Untouched
	default:
		return model.Remote
	}
}

// drawFlow draws one that is under way; a sequence that has none does something else instead.
func (g *generated) drawFlow(t *rapid.T) model.Flow {
	flows := g.node.Flows()
	if len(flows) == 0 {
		t.Skip("no flow")
	}
	return rapid.SampledFrom(flows).Draw(t, "flow")
}

// GoString is how a failing sequence names a machine.
func (m machine) GoString() string { return m.ipv4.String() }

func familyAt(addr netip.AddrPort) family {
	if addr.Addr().Is6() {
		return v6
	}
	return v4
}

// machineOf is the machine with that address.
func machineOf(addr netip.Addr) machine {
	for _, m := range []machine{client, silent, world, podA, podB, remote, remote2} {
		if m.ipv4 == addr || m.ipv6 == addr {
			return m
		}
	}
	panic("no machine has the address " + addr.String())
}
