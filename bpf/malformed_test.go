package bpf_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness/packet"
)

const (
	l3 = 14      // where the IP header starts
	l4 = l3 + 20 // and what follows one of IPv4 without options
)

// unwanted runs a frame that holds up nowhere: XDP leaves it to TC, TC drops it, and neither takes note of it.
func (r *rig) unwanted(t testing.TB, data []byte) {
	t.Helper()
	r.run(t, r.xdp(), data).untouched(t)
	if tcTakes(data) {
		r.run(t, r.fromNetdev(), data).dropped(t, bpf.Invalid)
	}
	r.unchanged(t)
}

// tcTakes tells whether BPF_PROG_RUN takes a frame for TC: since 6.18 it wants a whole IP header in one of IP.
func tcTakes(data []byte) bool {
	header := map[uint16]int{0x0800: 20, 0x86dd: 40}[binary.BigEndian.Uint16(data[12:])]
	return len(data) > l3 && len(data) >= l3+header
}

// wire is a frame from the client to the node.
func wire(t testing.TB, layers ...packet.Template) []byte {
	t.Helper()
	p, err := packet.Build(packet.Layers(append([]packet.Template{frame(client, node1)}, layers...)), packet.Defaults{
		SrcIPv4: client.ipv4, SrcIPv6: client.ipv6, Cookie: 1,
	})
	require.NoError(t, err)
	return p.Data
}

func TestTruncated(t *testing.T) {
	t.Parallel()
	r := newStillRig(t)
	eachFlow(t, protocols, func(t *testing.T, f family, p bpf.Protocol) {
		whole := wire(t, message(p, client.at(f, 40000), node1.at(f, port(p, 30080))))
		pod, err := packet.Build(packet.Layers{frame(podA, lxcA), message(p, podA.at(f, 40000), podB.at(f, port(p, 80)))}, packet.Defaults{})
		require.NoError(t, err)
		for size := l3; size < len(whole); size++ {
			r.unwanted(t, whole[:size])
		}
		for size := l3; size < len(pod.Data); size++ {
			if !tcTakes(pod.Data[:size]) {
				continue
			}
			r.run(t, r.fromA(), pod.Data[:size]).dropped(t, bpf.Invalid)
			r.run(t, r.toNetdev(r.lxcA), pod.Data[:size]).untouched(t)
			r.run(t, r.toA(0), pod.Data[:size]).untouched(t)
			r.unchanged(t)
		}
		r.run(t, r.xdp(), whole)
		r.still(t)
	})
}

// TestTruncatedL4 cuts the L4 header and has the IP header admit it.
func TestTruncatedL4(t *testing.T) {
	t.Parallel()
	r := newStillRig(t)
	eachFlow(t, protocols, func(t *testing.T, f family, p bpf.Protocol) {
		whole := wire(t, message(p, client.at(f, 40000), node1.at(f, port(p, 30080))))
		header, start := 8, l4
		if p == bpf.TCP {
			header = 20
		}
		if f == v6 {
			start = l3 + 40
		}
		for size := start; size < start+header; size++ {
			cut := append([]byte(nil), whole[:size]...)
			setLength(cut, f, size-l3)
			r.unwanted(t, cut)
			// Ethernet pads short frames: what is behind the packet is not of it.
			padded := append(cut, make([]byte, 60)...)
			r.unwanted(t, padded)
		}
	})
}

// setLength has the IP header say so many bytes, its own included.
func setLength(data []byte, f family, n int) {
	if f == v6 {
		binary.BigEndian.PutUint16(data[l3+4:], uint16(n-40))
	} else {
		binary.BigEndian.PutUint16(data[l3+2:], uint16(n))
	}
}

func TestHeadersThatLie(t *testing.T) {
	t.Parallel()
	r := newStillRig(t)
	tcp4 := packet.TCP{Src: client.at(v4, 40000), Dst: node1.at(v4, 30080)}
	udp4 := packet.UDP{Src: client.at(v4, 40000), Dst: node1.at(v4, 30080)}
	tcp6 := packet.TCP{Src: client.at(v6, 40000), Dst: node1.at(v6, 30080)}
	patch := func(data []byte, at int, with ...byte) []byte {
		copy(data[at:], with)
		return data
	}
	for name, data := range map[string][]byte{
		"IPv4 version 5":             patch(wire(t, tcp4), l3, 0x55),
		"IPv6 version 4":             patch(wire(t, tcp6), l3, 0x40),
		"IPv4 source in IPv6":        patch(wire(t, tcp6), l3+8, mapped(client)...),
		"IPv4 destination in IPv6":   patch(wire(t, tcp6), l3+24, mapped(node1)...),
		"IHL 0":                      patch(wire(t, tcp4), l3, 0x40),
		"IHL 4":                      patch(wire(t, tcp4), l3, 0x44),
		"IHL beyond the packet":      wire(t, packet.IPv4{IHL: 15}, packet.UDP{Src: client.at(v4, 40000), Dst: node1.at(v4, 30080)}),
		"IPv4 length 0":              patch(wire(t, tcp4), l3+2, 0, 0),
		"IPv4 length below header":   wire(t, packet.IPv4{Length: 19}, tcp4),
		"IPv4 length beyond frame":   wire(t, packet.IPv4{Length: 500}, tcp4),
		"IPv6 length beyond frame":   wire(t, packet.IPv6{Length: 500}, tcp6),
		"TCP offset 4":               wire(t, packet.TCP{Src: tcp4.Src, Dst: tcp4.Dst, DataOffset: 4}),
		"TCP offset beyond packet":   wire(t, packet.TCP{Src: tcp4.Src, Dst: tcp4.Dst, DataOffset: 15}),
		"UDP length below header":    wire(t, packet.UDP{Src: udp4.Src, Dst: udp4.Dst, Length: 7}),
		"UDP length beyond packet":   wire(t, packet.UDP{Src: udp4.Src, Dst: udp4.Dst, Length: 100}),
		"IPv6 extension beyond":      patch(wire(t, packet.IPv6Extension{}, tcp6), l3+40+1, 7),
		"IPv6 extension and nothing": patch(wire(t, packet.IPv6{Src: client.ipv6, Dst: node1.ipv6}, packet.Raw{6, 0}), l3+6, 0),
	} {
		t.Run(name, func(t *testing.T) { r.unwanted(t, data) })
	}
}

// mapped is a machine's IPv4 address in the form of an IPv6 one.
func mapped(m machine) []byte {
	bytes := m.ipv4.As16()
	return bytes[:]
}

// TestUnusualHeaders has headers of any length where they may be: the packet is translated all the same.
func TestUnusualHeaders(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.unsummed = true // where UDP has no checksum, nothing makes up for new ports
	for _, f := range families {
		r.serve(t, bpf.TCP, node1.at(f, 30080), remote.at(f, 80))
		r.serve(t, bpf.UDP, node1.at(f, 30080), remote.at(f, 80))
	}
	tcp := packet.TCP{Src: client.at(v4, 40000), Dst: node1.at(v4, 30080), Options: []packet.Option{packet.MSS(1460), packet.Timestamps(1, 2)}}
	tcp6, udp6 := tcp, packet.UDP{Src: client.at(v6, 40000), Dst: node1.at(v6, 30080)}
	tcp6.Src, tcp6.Dst = client.at(v6, 40000), node1.at(v6, 30080)
	options := packet.IPv4{Options: []packet.Option{{Kind: 148, Data: []byte{0, 0}}}} // router alert
	full := packet.IPv4{Options: []packet.Option{{Kind: 7, Data: make([]byte, 38)}}}  // record route: all 40 bytes
	long := packet.IPv6Extension{Protocol: packet.ProtocolDestination, Data: make([]byte, 6+8*20)}
	for _, test := range []struct {
		name   string
		layers []packet.Template
	}{
		{"TCP options", []packet.Template{tcp}},
		{"IPv4 options", []packet.Template{options, tcp}},
		{"IPv4 options, all of them", []packet.Template{full, tcp}},
		{"hop-by-hop", []packet.Template{packet.IPv6Extension{}, tcp6}},
		{"three extensions", []packet.Template{packet.IPv6Extension{}, packet.IPv6Extension{Protocol: packet.ProtocolDestination}, packet.IPv6Extension{Protocol: packet.ProtocolRouting}, tcp6}},
		{"long extension", []packet.Template{long, udp6}},
		{"UDP without checksum", []packet.Template{packet.UDP{Src: client.at(v4, 40000), Dst: node1.at(v4, 30080)}, packet.Zero{"Checksum"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, at := range []hook{r.xdp(), r.fromNetdev()} {
				out := r.send(t, at, client, node1, test.layers...)
				require.NotEqual(t, bpf.Drop, out.event.Verdict)
				require.Equal(t, uint16(80), out.Dst().Port(), "%s", out.Packet)
				if udp, ok := out.UDP(); ok && test.name == "UDP without checksum" {
					require.Zero(t, udp.Checksum)
				}
			}
		})
	}
	t.Run("too many extensions are the stack's", func(t *testing.T) {
		many := []packet.Template{packet.IPv6Extension{}}
		for range 4 {
			many = append(many, packet.IPv6Extension{Protocol: packet.ProtocolDestination})
		}
		for _, at := range []hook{r.xdp(), r.fromNetdev()} {
			r.send(t, at, client, node1, append(many, tcp6)...).untouched(t)
		}
	})
	t.Run("too long an extension is the stack's", func(t *testing.T) {
		huge := packet.IPv6Extension{Protocol: packet.ProtocolDestination, Data: make([]byte, 6+8*60)}
		r.send(t, r.xdp(), client, node1, huge, tcp6).untouched(t)
		r.send(t, r.fromNetdev(), client, node1, huge, tcp6).untouched(t)
	})
	t.Run("an authenticated packet is the stack's", func(t *testing.T) {
		authenticated := wire(t, packet.IPv6Extension{}, tcp6)
		authenticated[l3+6] = 51 // AH in place of hop-by-hop
		r.run(t, r.xdp(), authenticated).untouched(t)
		r.run(t, r.fromNetdev(), authenticated).untouched(t)
	})
	t.Run("a route not yet at its end is the stack's", func(t *testing.T) {
		source := packet.IPv6Extension{Protocol: packet.ProtocolRouting, Data: append([]byte{2, 1}, make([]byte, 20)...)}
		r.send(t, r.xdp(), client, node1, source, tcp6).untouched(t)
	})
}

// TestUDPChecksumBecomesZero finds datagrams whose checksum is 0 after translation, which must be written as 0xffff.
func TestUDPChecksumBecomesZero(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	eachFlow(t, []bpf.Protocol{bpf.UDP}, func(t *testing.T, f family, p bpf.Protocol) {
		r.serve(t, p, node1.at(f, 30080), remote.at(f, 80))
		for _, at := range []hook{r.xdp(), r.fromNetdev()} {
			udp := packet.UDP{Src: client.at(f, 40000), Dst: node1.at(f, 30080), Payload: []byte{0, 0}}
			first, _ := r.send(t, at, client, node1, udp).UDP()
			r.cookie-- // the same packet again, but for a payload that takes the checksum to 0
			udp.Payload = binary.BigEndian.AppendUint16(nil, first.Checksum)
			second, _ := r.send(t, at, client, node1, udp).UDP()
			require.Equal(t, uint16(0xffff), second.Checksum, "%s", at.point)
		}
	})
}

// TestNoise changes valid packets at random. Nothing must upset the programs, and no drop go without a reason: run checks it.
func TestNoise(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const seed = 1
	random := rand.New(rand.NewPCG(seed, seed))
	var packets [][]byte
	for _, f := range families {
		for _, p := range protocols {
			if p != bpf.ICMP {
				r.serve(t, p, node1.at(f, 30080), remote.at(f, 80), podA.at(f, 80))
			}
			packets = append(packets,
				wire(t, message(p, client.at(f, 40000), node1.at(f, port(p, 30080)))),
				wire(t, message(p, podA.at(f, 40000), world.at(f, port(p, 80)))))
		}
	}
	packets = append(packets, wire(t, packet.IPv6Extension{}, message(bpf.TCP, client.at(v6, 1), node1.at(v6, 30080))),
		wire(t, icmpError(v4)), wire(t, icmpError(v6)), wire(t, packet.WhoHas(lxcA.ipv4)), wire(t, packet.WhoHas(lxcA.ipv6)))
	hooks := []hook{r.xdp(), r.fromNetdev(), r.toNetdev(r.lxcA), r.toNetdev(0), r.fromA(), r.toA(0)}
	for i := range 3000 {
		data := append([]byte(nil), packets[random.IntN(len(packets))]...)
		for range 1 + random.IntN(3) {
			data[l3+random.IntN(min(len(data)-l3, 60))] = byte(random.Uint32())
		}
		data = data[:l3+random.IntN(len(data)-l3+1)]
		at := hooks[i%len(hooks)]
		if at.point != bpf.AtXDP && !tcTakes(data) {
			continue
		}
		if at.point == bpf.AtFromContainer && i%2 == 0 {
			copy(data, lxcA.mac)
		}
		r.run(t, at, data)
	}
	r.checkFlows(t)
}
