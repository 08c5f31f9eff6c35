package bpf_test

import (
	"bytes"
	"encoding/binary"
	flags "flag"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness/packet"
)

var storm = flags.Int("storm", 500, "so many `packets` of TestStorm through each program")

// TestStorm sends random and mutated packets through each program: none upsets it or the kernel, and none is dropped without a reason,
// which run checks. Half of them meet a node that takes tunnels. Those of socket calls are in TestStormAtSockets.
func TestStorm(t *testing.T) {
	t.Parallel()
	before := kernelLog(t)
	for name, test := range map[string]struct {
		rig   func(testing.TB) *rig
		hooks func(*rig) []hook
	}{
		"xdp":              {newServingRig, func(r *rig) []hook { return []hook{r.xdp()} }},
		"from-netdev":      {newServingRig, func(r *rig) []hook { return []hook{r.fromNetdev()} }},
		"to-netdev":        {newServingRig, func(r *rig) []hook { return []hook{r.toNetdev(r.lxcA), r.toNetdev(0)} }},
		"from-container":   {newServingRig, func(r *rig) []hook { return []hook{r.fromA(), r.fromB()} }},
		"to-container":     {newServingRig, func(r *rig) []hook { return []hook{r.toA(0), r.toA(r.nic)} }},
		"xdp, DSR":         {newTunnelRig, func(r *rig) []hook { return []hook{r.xdp()} }},
		"from-netdev, DSR": {newTunnelRig, func(r *rig) []hook { return []hook{r.fromNetdev()} }},
		"from-network":     {newDecryptingRig, func(r *rig) []hook { return []hook{r.fromNetwork()} }},
		"ct_expire":        {newServingRig, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := test.rig(t)
			const seed = 1
			s := storming{rand.New(rand.NewPCG(seed, seed)), r.examples(t)}
			if test.hooks == nil {
				for range *storm {
					list := make([]byte, l3+s.IntN(4000))
					s.fill(list)
					require.NoError(t, r.ExpireNoise(list))
				}
				return
			}
			hooks := test.hooks(r)
			quiet := 0
			for sent := 0; sent < *storm; {
				at := hooks[sent%len(hooks)]
				data := s.next()
				switch {
				case at.point == bpf.AtFromContainer && s.IntN(2) == 0:
					copy(data, lxcA.mac)
				case at.point == bpf.AtFromNetwork:
					data = s.decrypted(data)
				}
				if at.point == bpf.AtXDP || len(data) > l3 && tcTakes(data) {
					if r.storm(t, at, data) {
						quiet++
					}
					sent++
				}
			}
			require.EqualValues(t, quiet, r.counted(t, bpf.AtFromNetwork, bpf.Pass))
		})
	}
	require.Empty(t, warnings(since(kernelLog(t), before)))
}

// storm runs the program at a hook, and tells whether that was from-network and the packet the stack's: that passes without a word.
func (r *rig) storm(t testing.TB, at hook, data []byte) (quiet bool) {
	t.Helper()
	if at.point == bpf.AtFromNetwork && !goesOnToPod(data) {
		r.isTheStacks(t, data)
		return true
	}
	r.run(t, at, data)
	return false
}

// goesOnToPod tells whether what comes out of WireGuard has a hop left and is for a pod of node 1.
func goesOnToPod(data []byte) bool {
	pods := func(f family) [][]byte { return [][]byte{podA.addr(f).AsSlice(), podB.addr(f).AsSlice()} }
	isOneOf := func(all [][]byte, addr []byte) bool {
		return slices.ContainsFunc(all, func(pod []byte) bool { return bytes.Equal(pod, addr) })
	}
	switch binary.BigEndian.Uint16(data[12:]) { // where BPF_PROG_RUN takes the type from, see decrypted
	case 0x0800:
		return data[8] > 1 && isOneOf(pods(v4), data[16:20])
	case 0x86dd:
		return data[7] > 1 && isOneOf(pods(v6), data[24:40])
	}
	return false
}

// newDecryptingRig is node 1 with a device that encrypts, and flows that have backends behind it.
func newDecryptingRig(t testing.TB) *rig {
	r := newEncryptingRig(t)
	for _, f := range families {
		for _, p := range balanced {
			r.serve(t, p, node1.at(f, 30080), decrypted.at(f, 80))
			r.send(t, r.fromA(), podA, lxcA, message(p, podA.at(f, 40000), node1.at(f, 30080))).is(t, bpf.Redirect, r.lxcB)
		}
	}
	return r
}

// newServingRig is node 1 with services, near and far.
func newServingRig(t testing.TB) *rig {
	r := newRig(t)
	for _, f := range families {
		for _, p := range balanced {
			r.serve(t, p, node1.at(f, 30080), remote.at(f, 80), podA.at(f, 80))
			r.serve(t, p, world.at(f, 80), podB.at(f, 80))
			r.serve(t, p, node1.at(f, 30081))
		}
	}
	return r
}

// examples are packets of every kind that the programs know, to be changed.
func (r *rig) examples(t testing.TB) (all [][]byte) {
	for _, f := range families {
		for _, p := range protocols {
			all = append(all,
				wire(t, message(p, client.at(f, 40000), node1.at(f, port(p, 30080)))),
				wire(t, message(p, client.at(f, 40000), node1.at(f, port(p, 30081)))),
				wire(t, message(p, podA.at(f, 40000), world.at(f, port(p, 80)))),
				wire(t, message(p, remote.at(f, 80), node1.at(f, port(p, 40000)))),
				wire(t, message(p, podA.at(f, 80), client.at(f, port(p, 40000)))),
				wire(t, message(p, client.at(f, 80), podA.at(f, port(p, 40000)))))
		}
		inner := message(bpf.UDP, client.at(f, 40000), node2.at(f, 30080))
		for _, way := range families {
			all = append(all, wire(t, outer(way, f, node2, podA), inner), wire(t, outer(way, f, node2, node1), inner))
		}
		all = append(all, wire(t, icmpError(f)))
		all = append(all, fragmented(t, r.datagram(t, client, node1, packet.UDP{Src: client.at(f, 40000), Dst: node1.at(f, 30080), Payload: make([]byte, 600)}), 7, 200)...)
	}
	return append(all, wire(t, packet.IPv6Extension{}, message(bpf.TCP, client.at(v6, 1), node1.at(v6, 30080))),
		wire(t, packet.WhoHas(lxcA.ipv4)), wire(t, packet.WhoHas(lxcA.ipv6)))
}

// decrypted is what WireGuard makes of a frame: without its Ethernet header, most often of a flow between pods of two nodes.
func (s *storming) decrypted(frame []byte) []byte {
	data := append([]byte(nil), frame[l3:]...)
	if len(data) < 40 || s.IntN(8) == 0 {
		return data
	}
	pod := []machine{podA, podB}[s.IntN(2)]
	if data[0]>>4 == 6 {
		copy(data[8:], decrypted.ipv6.AsSlice())
		copy(data[24:], pod.ipv6.AsSlice())
	} else {
		copy(data[12:], decrypted.ipv4.AsSlice())
		copy(data[16:], pod.ipv4.AsSlice())
	}
	return data
}

// storming draws packets.
type storming struct {
	*rand.Rand
	examples [][]byte
}

// next is an example with some bytes changed, and most often cut or made longer; one in eight has an Ethernet header alone that is not
// random.
func (s *storming) next() []byte {
	data := append([]byte(nil), s.examples[s.IntN(len(s.examples))]...)
	if s.IntN(8) == 0 {
		data = append(data[:l3], make([]byte, s.IntN(200))...)
		s.fill(data[l3:])
		if len(data) > l3 {
			data[l3] = []byte{0x45, 0x60, data[l3]}[s.IntN(3)]
		}
		return data
	}
	for range s.IntN(4) {
		data[l3+s.IntN(min(len(data)-l3, 100))] = s.value()
	}
	switch s.IntN(8) {
	case 0:
		data = data[:l3+s.IntN(len(data)-l3+1)]
	case 1:
		tail := make([]byte, s.IntN(100))
		s.fill(tail)
		data = append(data, tail...)
	case 2: // lengths and fragments, where headers have them
		binary.BigEndian.PutUint16(data[l3+2*s.IntN(4):], uint16(s.Uint32()))
	}
	return data
}

// value is a byte; the ends of its range more often than others.
func (s *storming) value() byte {
	return []byte{0, 1, 0x7f, 0x80, 0xff, byte(s.Uint32()), byte(s.Uint32()), byte(s.Uint32())}[s.IntN(8)]
}

func (s *storming) fill(data []byte) {
	for i := range data {
		data[i] = byte(s.Uint32())
	}
}

// kernelLog is what the kernel has to say.
func kernelLog(t testing.TB) string {
	t.Helper()
	const readAll, size = 3, 10 // of syslog(2)
	room, err := unix.Klogctl(size, nil)
	require.NoError(t, err)
	buffer := make([]byte, room)
	n, err := unix.Klogctl(readAll, buffer)
	require.NoError(t, err)
	return string(buffer[:n])
}

// since is what was said after an earlier log was read, which may have lost its beginning.
func since(log, before string) string {
	before = strings.TrimRight(before, "\n")
	last := before[strings.LastIndex(before, "\n")+1:]
	_, after, _ := strings.Cut(log, last)
	return after
}

// warnings are those lines in which the kernel complains of itself.
func warnings(log string) (lines []string) {
	for line := range strings.Lines(log) {
		for _, sign := range []string{"WARNING:", "BUG:", "Oops", "general protection fault", "UBSAN", "KASAN", "Call Trace", "blocked for more than"} {
			if strings.Contains(line, sign) {
				lines = append(lines, strings.TrimSpace(line))
			}
		}
	}
	return lines
}
