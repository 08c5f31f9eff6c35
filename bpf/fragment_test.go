package bpf_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness/packet"
)

// fragmented is a frame with a whole datagram of UDP or ICMP, cut into frames with so many bytes of it each, a multiple of 8.
func fragmented(t testing.TB, whole []byte, id uint32, size int) (frames [][]byte) {
	t.Helper()
	header, extension := 20, 0
	if whole[l3]>>4 == 6 {
		header, extension = 40, 8
	}
	body := whole[l3+header:]
	for at := 0; at < len(body); at += size {
		part, more := body[at:min(at+size, len(body))], at+size < len(body)
		f := append([]byte(nil), whole[:l3+header]...)
		if extension == 0 {
			binary.BigEndian.PutUint16(f[l3+2:], uint16(header+len(part)))
			binary.BigEndian.PutUint16(f[l3+4:], uint16(id))
			binary.BigEndian.PutUint16(f[l3+6:], uint16(at/8)|flag(more)<<13)
			binary.BigEndian.PutUint16(f[l3+10:], 0)
			binary.BigEndian.PutUint16(f[l3+10:], ^sum(f[l3:l3+header]))
		} else {
			binary.BigEndian.PutUint16(f[l3+4:], uint16(extension+len(part)))
			f = append(f, f[l3+6], 0)
			f[l3+6] = 44
			f = binary.BigEndian.AppendUint16(f, uint16(at)|flag(more))
			f = binary.BigEndian.AppendUint32(f, id)
		}
		frames = append(frames, append(f, part...))
	}
	require.Greater(t, len(frames), 2)
	return frames
}

func flag(set bool) uint16 {
	if set {
		return 1
	}
	return 0
}

// sum is the Internet checksum's sum over an IPv4 header.
func sum(b []byte) uint16 {
	var s uint32
	for i := 0; i < len(b); i += 2 {
		s += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// assembled undoes fragmented: the datagram that a receiver of all fragments has. Their headers must be alike.
func assembled(t testing.TB, frames [][]byte) *packet.Packet {
	t.Helper()
	header, extension := 20, 0
	if frames[0][l3]>>4 == 6 {
		header, extension = 40, 8
	}
	last := frames[len(frames)-1] // of the first, the kernel may still have to write the Ethernet header
	whole := append(append([]byte(nil), last[:l3]...), frames[0][l3:l3+header]...)
	for _, f := range frames {
		require.Equal(t, frames[0][l3+header-8-extension*3:l3+header], f[l3+header-8-extension*3:l3+header], "addresses")
		whole = append(whole, f[l3+header+extension:]...)
	}
	if extension == 0 {
		binary.BigEndian.PutUint16(whole[l3+2:], uint16(len(whole)-l3))
		copy(whole[l3+6:], []byte{0, 0})
		binary.BigEndian.PutUint16(whole[l3+10:], 0)
		binary.BigEndian.PutUint16(whole[l3+10:], ^sum(whole[l3:l3+header]))
	} else {
		binary.BigEndian.PutUint16(whole[l3+4:], uint16(len(whole)-l3-header))
		whole[l3+6] = frames[0][l3+header]
	}
	p, err := packet.Decode(whole)
	require.NoError(t, err)
	require.NoError(t, packet.VerifyChecksums(p), "%s", p)
	return p
}

// datagram builds a frame with some 2,000 bytes of UDP or ICMP, from src to dst, between two machines on one wire.
func (r *rig) datagram(t testing.TB, from, to machine, template packet.Template) []byte {
	t.Helper()
	payload := make([]byte, 2001)
	for i := range payload {
		payload[i] = byte(i)
	}
	switch m := template.(type) {
	case packet.UDP:
		m.Payload = payload
		template = m
	case packet.Echo:
		m.Payload = payload
		template = m
	}
	p, err := packet.Build(packet.Layers{frame(from, to), template}, packet.Defaults{Cookie: 1})
	require.NoError(t, err)
	return p.Data
}

// TestFragmentsFollowTheFirst sends a datagram in fragments: all that is translated reaches one place, and is one datagram
// there with its checksum right.
func TestFragmentsFollowTheFirst(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var id uint32 = 0xfff0
	run := func(t *testing.T, at hook, whole []byte) (outs []outcome, frames [][]byte) {
		id++
		for _, f := range fragmented(t, whole, id, 800) {
			out := r.run(t, at, f)
			outs, frames = append(outs, out), append(frames, out.Data)
		}
		r.checkFlows(t)
		return outs, frames
	}
	for _, f := range families {
		r.serve(t, bpf.UDP, node1.at(f, 30080), remote.at(f, 80), remote2.at(f, 80))
		r.serve(t, bpf.UDP, cluster.at(f, 80), podB.at(f, 8080))
		for _, at := range []hook{r.xdp(), r.fromNetdev()} {
			t.Run(fmt.Sprintf("%s/NodePort/%s", f, at.point), func(t *testing.T) {
				require.NoError(t, r.DeleteFlows())
				for from := range uint16(8) {
					outs, frames := run(t, at, r.datagram(t, client, node1, message(bpf.UDP, client.at(f, from+1), node1.at(f, 30080))))
					for _, out := range outs {
						require.Equal(t, r.nic, out.event.Target, "%s", out.event)
					}
					request := assembled(t, frames)
					require.Equal(t, uint16(80), request.Dst().Port())

					reply := message(bpf.UDP, request.Dst(), request.Src())
					outs, frames = run(t, at, r.datagram(t, node2, node1, reply))
					for _, out := range outs {
						require.Equal(t, r.nic, out.event.Target, "%s", out.event)
					}
					answer := outcome{Packet: assembled(t, frames)}
					answer.became(t, frame(node1, client), message(bpf.UDP, node1.at(f, 30080), client.at(f, from+1)))
				}
			})
		}
		t.Run(string(f)+"/pod to service", func(t *testing.T) {
			outs, frames := run(t, r.fromA(), r.datagram(t, podA, lxcA, message(bpf.UDP, podA.at(f, 40000), cluster.at(f, 80))))
			for _, out := range outs {
				out.is(t, bpf.RedirectPeer, r.lxcB)
			}
			outcome{Packet: assembled(t, frames)}.became(t, frame(lxcB, podB), message(bpf.UDP, podA.at(f, 40000), podB.at(f, 8080)))
		})
		for _, p := range []bpf.Protocol{bpf.UDP, bpf.ICMP} {
			t.Run(fmt.Sprintf("%s/masqueraded/%s", f, p), func(t *testing.T) {
				request := message(p, podA.at(f, 40000), world.at(f, port(p, 80)))
				_, frames := run(t, r.toNetdev(r.lxcA), r.datagram(t, node1, gateway, request))
				asked := outcome{Packet: assembled(t, frames)}
				asked.became(t, message(p, node1.at(f, echoID(t, asked)), world.at(f, port(p, 80))))

				reply := message(p, world.at(f, port(p, 80)), node1.at(f, echoID(t, asked)))
				outs, frames := run(t, r.xdp(), r.datagram(t, gateway, node1, reply))
				for _, out := range outs {
					require.True(t, out.handed)
				}
				outcome{Packet: assembled(t, frames)}.became(t, message(p, world.at(f, port(p, 80)), podA.at(f, 40000)))
				outs, frames = run(t, r.fromNetdev(), r.datagram(t, gateway, node1, reply))
				for _, out := range outs {
					out.is(t, bpf.RedirectPeer, r.lxcA)
				}
				outcome{Packet: assembled(t, frames)}.became(t, message(p, world.at(f, port(p, 80)), podA.at(f, 40000)))
			})
		}
	}
}

// TestFragmentsByTunnel go past direct server return's balancing node, and arrive at the backend's.
func TestFragmentsByTunnel(t *testing.T) {
	t.Parallel()
	r := newRig(t, withDSR)
	for _, f := range families {
		r.serveDirect(t, bpf.UDP, node1.at(f, 30080), remote.at(f, 80), remote2.at(f, 80))
		r.expect(t, bpf.UDP, nodePort(f, 30080), podA.at(f, 80))
		size := 20
		if f == v6 {
			size = 40
		}
		for i, at := range []hook{r.xdp(), r.fromNetdev()} {
			t.Run(fmt.Sprintf("%s/out by %s", f, at.point), func(t *testing.T) {
				var backends []any
				for _, part := range fragmented(t, r.datagram(t, client, node1, message(bpf.UDP, client.at(f, 40000), node1.at(f, 30080))), uint32(i), 800) {
					out := r.run(t, at, part)
					require.Equal(t, r.nic, out.event.Target)
					require.Equal(t, part[l3+size:], out.Data[l3+2*size:], "what is in the tunnel")
					backends = append(backends, out.Dst().Addr())
				}
				require.Equal(t, backends[0], backends[1])
				require.Equal(t, backends[0], backends[2])
			})
		}
		t.Run(string(f)+"/in", func(t *testing.T) {
			var frames [][]byte
			for _, part := range fragmented(t, r.datagram(t, client, node2, message(bpf.UDP, client.at(f, 40000), node2.at(f, 30080))), 9, 800) {
				var tunnel packet.Template = packet.IPv4{Src: node2.ipv4, Dst: podA.ipv4, Protocol: 4}
				if f == v6 {
					tunnel = packet.IPv6{Src: node2.ipv6, Dst: podA.ipv6, NextHeader: 41}
				}
				out := r.raw(t, r.fromNetdev(), []packet.Template{tunnel, packet.Raw(part[l3:])})
				out.is(t, bpf.RedirectPeer, r.lxcA)
				frames = append(frames, out.Data)
			}
			outcome{Packet: assembled(t, frames)}.became(t, message(bpf.UDP, client.at(f, 40000), podA.at(f, 80)))
		})
	}
}

// TestFragmentsInDisorder has later fragments come before the first: nothing tells where they belong, and they are counted.
func TestFragmentsInDisorder(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	early := func() uint64 {
		n, err := r.EarlyFragments()
		require.NoError(t, err)
		return n
	}
	for _, f := range families {
		t.Run(string(f), func(t *testing.T) {
			require.NoError(t, r.DeleteFlows())
			r.serve(t, bpf.UDP, node1.at(f, 30080), remote.at(f, 80))
			before := early()
			parts := fragmented(t, r.datagram(t, client, node1, message(bpf.UDP, client.at(f, 40000), node1.at(f, 30080))), 1, 800)
			r.run(t, r.xdp(), parts[1]).untouched(t)
			r.run(t, r.fromNetdev(), parts[1]).untouched(t)
			require.Equal(t, before+1, early())
			require.Empty(t, r.checkFlows(t))
			for _, part := range []int{0, 2, 1} {
				r.run(t, r.xdp(), parts[part]).is(t, bpf.Tx, r.nic)
			}
			require.Equal(t, before+1, early())

			parts = fragmented(t, r.datagram(t, node1, gateway, message(bpf.UDP, podA.at(f, 40000), world.at(f, 80))), 1, 800)
			r.run(t, r.toNetdev(r.lxcA), parts[2]).dropped(t, bpf.Fragment)
			for _, part := range []int{0, 2, 1} {
				r.run(t, r.toNetdev(r.lxcA), parts[part]).is(t, bpf.Pass, 0)
			}
		})
	}
}

// TestFragmentsOfAnotherDatagram have the addresses of one that is known, and not its id; or its id, a minute later.
func TestFragmentsOfAnotherDatagram(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, f := range families {
		t.Run(string(f), func(t *testing.T) {
			r.serve(t, bpf.UDP, node1.at(f, 30080), remote.at(f, 80))
			r.serve(t, bpf.UDP, node1.at(f, 30081), remote2.at(f, 80))
			parts := func(port uint16, id uint32) [][]byte {
				return fragmented(t, r.datagram(t, client, node1, message(bpf.UDP, client.at(f, 40000), node1.at(f, port))), id, 800)
			}
			require.Equal(t, remote.addr(f), r.run(t, r.xdp(), parts(30080, 1)[0]).Dst().Addr())
			r.run(t, r.xdp(), parts(30080, 2)[1]).untouched(t)
			require.Equal(t, remote.addr(f), r.run(t, r.xdp(), parts(30080, 1)[1]).Dst().Addr())
			require.NoError(t, r.AgeDatagrams())
			r.run(t, r.xdp(), parts(30080, 1)[1]).untouched(t)
			// The id is used again, for a datagram to another service.
			require.Equal(t, remote2.addr(f), r.run(t, r.xdp(), parts(30081, 1)[0]).Dst().Addr())
			require.Equal(t, remote2.addr(f), r.run(t, r.xdp(), parts(30081, 1)[1]).Dst().Addr())
		})
	}
}

// TestManyDatagrams are in fragments at once, many more than the table takes: each fragment goes where its datagram goes, or
// to the stack.
func TestManyDatagrams(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, f := range families {
		r.serve(t, bpf.UDP, node1.at(f, 30080), remote.at(f, 80), remote2.at(f, 80))
		var parts [][][]byte
		went := map[int]string{}
		for i := range 3 * int(smallMaps.Datagrams) {
			parts = append(parts, fragmented(t, r.datagram(t, client, node1, message(bpf.UDP, client.at(f, uint16(1+i)), node1.at(f, 30080))), uint32(i), 1000))
			went[i] = r.run(t, r.xdp(), parts[i][0]).Dst().Addr().String()
		}
		known := 0
		for i := range parts {
			out := r.run(t, r.xdp(), parts[i][1])
			if out.event.Verdict == bpf.Tx {
				known++
				require.Equal(t, went[i], out.Dst().Addr().String())
			} else {
				out.untouched(t)
			}
		}
		require.NotZero(t, known)
		require.LessOrEqual(t, known, int(smallMaps.Datagrams))
		require.NoError(t, r.DeleteFlows())
	}
}

// TestFragmentsThatLie write over the first one's header, end behind the longest datagram, or are in pieces themselves.
func TestFragmentsThatLie(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, tinyMaps)
	for _, f := range families {
		r.serve(t, bpf.TCP, node1.at(f, 30080), remote.at(f, 80))
		r.serve(t, bpf.UDP, node1.at(f, 30080), remote.at(f, 80))
	}
	fragment4 := func(p packet.Protocol, offset uint16, more bool, size int) []byte {
		return wire(t, packet.IPv4{Src: client.ipv4, Dst: node1.ipv4, Protocol: p, FragOffset: offset, MF: more, ID: 7}, packet.Raw(make([]byte, size)))
	}
	fragment6 := func(p packet.Protocol, offset uint16, more bool, size int) []byte {
		return wire(t, packet.IPv6{Src: client.ipv6, Dst: node1.ipv6},
			packet.IPv6Fragment{NextHeader: p, Offset: offset, More: more, ID: 7}, packet.Raw(make([]byte, size)))
	}
	tcp := packet.TCP{Src: client.at(v6, 40000), Dst: node1.at(v6, 30080)}
	r.still(t)
	for name, data := range map[string][]byte{
		"IPv4 over the ports of TCP":      fragment4(packet.ProtocolTCP, 8, true, 64),
		"IPv4 over the checksum of TCP":   fragment4(packet.ProtocolTCP, 16, true, 64),
		"IPv6 over the ports of TCP":      fragment6(packet.ProtocolTCP, 8, true, 64),
		"IPv6 over the checksum of TCP":   fragment6(packet.ProtocolTCP, 16, true, 64),
		"IPv4 beyond the end":             fragment4(packet.ProtocolUDP, 65528, false, 64),
		"IPv6 beyond the end":             fragment6(packet.ProtocolUDP, 65528, false, 64),
		"IPv4, first without a header":    fragment4(packet.ProtocolTCP, 0, true, 16),
		"IPv6, first without a header":    fragment6(packet.ProtocolTCP, 0, true, 16),
		"IPv4, first without ports":       fragment4(packet.ProtocolUDP, 0, true, 4),
		"IPv6, first without ports":       fragment6(packet.ProtocolUDP, 0, true, 0),
		"IPv6, a fragment of a fragment":  wire(t, packet.IPv6Fragment{More: true, ID: 7}, packet.IPv6Fragment{More: true, ID: 8}, tcp),
		"IPv6, a fragment of a whole one": wire(t, packet.IPv6Fragment{ID: 7}, packet.IPv6Fragment{Offset: 1480, ID: 8}, tcp),
	} {
		t.Run(name, func(t *testing.T) { r.unwanted(t, data) })
	}
	for name, data := range map[string][]byte{
		"IPv4 up to the end": fragment4(packet.ProtocolUDP, 65528, false, 7),
		"IPv6 up to the end": fragment6(packet.ProtocolUDP, 65528, false, 7),
	} {
		t.Run(name, func(t *testing.T) { r.run(t, r.fromNetdev(), data).untouched(t) })
	}
	t.Run("IPv6, a whole one in a fragment header", func(t *testing.T) { // RFC 6946
		r.run(t, r.xdp(), wire(t, packet.IPv6Fragment{ID: 7}, tcp)).is(t, bpf.Tx, r.nic)
	})
	require.Len(t, r.checkFlows(t), 2)
}

// TestFragmentsUntranslated go their way by their addresses, whatever of their datagram is known.
func TestFragmentsUntranslated(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, f := range families {
		for _, first := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/first=%t", f, first), func(t *testing.T) {
				plain := fragmentOf(f, first, podA, podB, 80)
				r.fragment(t, r.fromA(), podA, lxcA, plain).is(t, bpf.RedirectPeer, r.lxcB)
				r.fragment(t, r.fromA(), podA, lxcA, fragmentOf(f, first, podA, remote, 80)).is(t, bpf.RedirectNeigh, r.nic)
				r.fragment(t, r.toNetdev(r.lxcA), node1, node2, fragmentOf(f, first, podA, remote, 80)).untouched(t)
				r.fragment(t, r.fromNetdev(), node2, node1, fragmentOf(f, first, remote, podA, 80)).is(t, bpf.RedirectPeer, r.lxcA)
				r.fragment(t, r.fromNetdev(), client, node1, fragmentOf(f, first, client, node1, 53)).untouched(t)
				require.Empty(t, r.checkFlows(t))
			})
		}
	}
}

// fragment is send for packets whose L4 checksum covers what is not in them.
func (r *rig) fragment(t testing.TB, at hook, from, to machine, layers []packet.Template) outcome {
	t.Helper()
	sent, err := packet.Build(packet.Layers(append([]packet.Template{frame(from, to)}, layers...)), packet.Defaults{})
	require.NoError(t, err)
	out := r.run(t, at, sent.Data)
	require.NoError(t, packet.VerifyChecksums(out.Packet))
	return out
}

// fragmentOf is the first fragment of a datagram, or a later one.
func fragmentOf(f family, first bool, src, dst machine, dstPort uint16) []packet.Template {
	offset, srcPort := uint16(1480), uint16(40000)
	if src.ipv4 == remote.ipv4 {
		srcPort = 80 // the backend of the tests
	}
	if first {
		offset = 0
	}
	var header []packet.Template
	if f == v6 {
		header = []packet.Template{packet.IPv6{Src: src.ipv6, Dst: dst.ipv6}, packet.IPv6Fragment{NextHeader: packet.ProtocolUDP, Offset: offset, More: first, ID: 7}}
	} else {
		header = []packet.Template{packet.IPv4{Src: src.ipv4, Dst: dst.ipv4, Protocol: packet.ProtocolUDP, FragOffset: offset, MF: first, ID: 7}}
	}
	if first {
		return append(header, packet.UDP{Src: src.at(f, srcPort), Dst: dst.at(f, dstPort), Payload: make([]byte, 64)})
	}
	return append(header, packet.Raw(make([]byte, 64)))
}
