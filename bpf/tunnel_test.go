package bpf_test

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness/packet"
)

// What comes encapsulated is somebody's claim. These tests send what nobody should, to a node that takes what node 2 sends
// to pod a by node port 30080.

func newTunnelRig(t testing.TB) *rig { return newTunnelRigOf(t, smallMaps) }

func newTunnelRigOf(t testing.TB, sizes bpf.MapSizes) *rig {
	r := newRigOf(t, sizes, withDSR)
	for _, f := range families {
		r.expect(t, bpf.UDP, nodePort(f, 30080), podA.at(f, 80))
		r.expect(t, bpf.TCP, nodePort(f, 30080), podA.at(f, 80))
	}
	return r
}

func TestTunnelFromWhomever(t *testing.T) {
	t.Parallel()
	r := newTunnelRig(t)
	for _, f := range families {
		request := message(bpf.UDP, client.at(f, 40000), node2.at(f, 30080))
		for name, from := range map[string]machine{"the client": client, "the world": world, "a pod": remote} {
			for _, at := range []hook{r.xdp(), r.fromNetdev()} {
				t.Run(name, func(t *testing.T) {
					r.send(t, at, client, node1, outer(f, f, from, podA), request).dropped(t, bpf.TunnelSource)
				})
			}
		}
		require.Empty(t, r.checkFlows(t))
	}
}

// TestTunnelOfOthers is encapsulated, and none of the node's business: the outer packet goes its way.
func TestTunnelOfOthers(t *testing.T) {
	t.Parallel()
	r, without := newTunnelRig(t), newRig(t)
	for _, f := range families {
		request := message(bpf.UDP, client.at(f, 40000), node2.at(f, 30080))
		for name, test := range map[string]struct {
			rig    *rig
			layers []packet.Template
		}{
			"to a pod elsewhere":             {r, []packet.Template{outer(f, f, node2, remote), request}},
			"to a node without DSR":          {without, []packet.Template{outer(f, f, node2, podA), request}},
			"to itself, a node without DSR":  {without, []packet.Template{outer(f, f, node2, node1), request}},
			"to a node without DSR, by IPv6": {without, []packet.Template{outer(v6, f, node2, podA), request}},
			"in a fragment": {r, []packet.Template{
				packet.IPv4{Src: node2.ipv4, Dst: podA.ipv4, MF: true}, innerIs(f, 0, 0), request}},
			"behind options": {r, []packet.Template{
				packet.IPv4{Src: node2.ipv4, Dst: podA.ipv4, Options: []packet.Option{{Kind: 148, Data: []byte{0, 0}}}}, innerIs(f, 0, 0), request}},
			"behind an extension header": {r, []packet.Template{
				packet.IPv6{Src: node2.ipv6, Dst: podA.ipv6}, packet.IPv6Extension{}, innerIs(f, 0, 0), request}},
		} {
			t.Run(name, func(t *testing.T) {
				test.rig.send(t, test.rig.xdp(), node2, node1, test.layers...).untouched(t)
				test.rig.send(t, test.rig.fromNetdev(), node2, node1, test.layers...).untouched(t)
			})
		}
	}
}

// TestTunnelWithTheWrongThingInside comes from a node, for a backend that can do nothing with it.
func TestTunnelWithTheWrongThingInside(t *testing.T) {
	t.Parallel()
	r := newTunnelRigOf(t, tinyMaps)
	r.still(t)
	for _, f := range families {
		other := v6
		if f == v6 {
			other = v4
		}
		request := message(bpf.UDP, client.at(f, 40000), node2.at(f, 30080))
		for name, test := range map[string]struct {
			tc    bpf.DropReason
			xdp   bool // drops it too; otherwise it leaves the packet to TC
			inner []packet.Template
		}{
			"another port":     {bpf.TunnelService, true, []packet.Template{hops(f, 0), message(bpf.UDP, client.at(f, 40000), node2.at(f, 30081))}},
			"another frontend": {bpf.TunnelService, true, []packet.Template{hops(f, 0), message(bpf.UDP, client.at(f, 40000), world.at(f, 30080))}},
			"another family":   {bpf.TunnelService, true, []packet.Template{hops(other, 0), message(bpf.UDP, client.at(other, 40000), node2.at(other, 30080))}},
			"an echo":          {bpf.TunnelService, false, []packet.Template{hops(f, 0), message(bpf.ICMP, client.at(f, 7), node2.at(f, 0))}},
			"another tunnel":   {bpf.TunnelService, false, []packet.Template{outer(f, f, node2, podA), request}},
			"nothing":          {bpf.TunnelService, false, []packet.Template{packet.IPv6{Src: client.ipv6, Dst: node2.ipv6}, packet.Raw{}}},
			"no hop left":      {bpf.TTLExpired, false, []packet.Template{hops(f, 1), request}},
			"a later fragment": {bpf.Fragment, false, fragmentOf(f, false, client, node2, 30080)},
			"a lying length":   {bpf.Invalid, true, []packet.Template{lying(f), request}},
		} {
			t.Run(string(f)+"/"+name, func(t *testing.T) {
				layers := append([]packet.Template{outerIs(f, node2, podA, 0, 0)}, test.inner...)
				out := r.raw(t, r.xdp(), layers)
				if test.xdp {
					out.dropped(t, test.tc)
				} else {
					out.untouched(t)
				}
				r.raw(t, r.fromNetdev(), layers).dropped(t, test.tc)
				if test.tc != bpf.TTLExpired { // that one has opened its flow
					r.unchanged(t)
				}
				require.NoError(t, r.DeleteFlows())
				r.still(t)
			})
		}
	}
}

// lying is a header that promises more than there is.
func lying(f family) packet.Template {
	if f == v6 {
		return packet.IPv6{Length: 500}
	}
	return packet.IPv4{Length: 500}
}

// raw is send for packets that are no good.
func (r *rig) raw(t testing.TB, at hook, layers []packet.Template) outcome {
	t.Helper()
	p, err := packet.Build(packet.Layers(append([]packet.Template{frame(node2, node1)}, layers...)), packet.Defaults{})
	require.NoError(t, err)
	return r.run(t, at, p.Data)
}

// TestTunnelCutShort cuts the inner packet, and has the outer header admit it.
func TestTunnelCutShort(t *testing.T) {
	t.Parallel()
	r := newTunnelRigOf(t, tinyMaps)
	for _, way := range families {
		for _, f := range families {
			require.NoError(t, r.PutOwn(world.addr(f)))
			r.still(t)
			request := message(bpf.TCP, client.at(f, 40000), node2.at(f, 30080))
			whole := wire(t, outer(way, f, node2, podA), request)
			start := l3 + map[family]int{v4: 20, v6: 40}[way]
			for size := start; size < len(whole)-len("skbench0")-8; size++ {
				cut := append([]byte(nil), whole[:size]...)
				setLength(cut, way, size-l3)
				if way == v4 {
					fixChecksum(cut[l3 : l3+20])
				}
				r.run(t, r.xdp(), cut).dropped(t, bpf.Invalid)
				r.run(t, r.fromNetdev(), cut).dropped(t, bpf.Invalid)
				r.unchanged(t)
				r.unwanted(t, whole[:size]) // and without admitting it
			}
			// The version is not the one that the outer header says.
			other := append([]byte(nil), whole...)
			other[start] ^= 0x20
			r.run(t, r.xdp(), other).dropped(t, bpf.Invalid)
			r.run(t, r.fromNetdev(), other).dropped(t, bpf.Invalid)
			own := wire(t, outer(way, f, node2, node1), message(bpf.TCP, client.at(f, 40000), world.at(f, 80)))
			own[start] ^= 0x20
			r.run(t, r.xdp(), own).dropped(t, bpf.Invalid)
			r.unchanged(t)
		}
	}
	require.Empty(t, r.checkFlows(t))
}

// fixChecksum writes the checksum of an IPv4 header without options.
func fixChecksum(header []byte) {
	binary.BigEndian.PutUint16(header[10:], 0)
	var sum uint32
	for i := 0; i < len(header); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(header[i:]))
	}
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(header[10:], ^uint16(sum>>16+sum))
}

// TestTunnelNoise changes encapsulated packets at random, as TestNoise does plain ones.
func TestTunnelNoise(t *testing.T) {
	t.Parallel()
	r := newTunnelRig(t)
	const seed = 1
	random := rand.New(rand.NewPCG(seed, seed))
	var packets [][]byte
	for _, f := range families {
		r.serveDirect(t, bpf.UDP, node1.at(f, 30080), remote.at(f, 80))
		require.NoError(t, r.PutOwn(world.addr(f)))
		packets = append(packets, wire(t, message(bpf.UDP, client.at(f, 40000), node1.at(f, 30080))))
		for _, way := range families {
			packets = append(packets,
				wire(t, outer(way, f, node2, podA), message(bpf.UDP, client.at(f, 40000), node2.at(f, 30080))),
				wire(t, outer(way, f, node2, node1), message(bpf.TCP, client.at(f, 40000), world.at(f, 80))))
		}
	}
	for i := range 3000 {
		data := append([]byte(nil), packets[random.IntN(len(packets))]...)
		for range 1 + random.IntN(3) {
			data[l3+random.IntN(min(len(data)-l3, 100))] = byte(random.Uint32())
		}
		data = data[:l3+random.IntN(len(data)-l3+1)]
		at := r.xdp()
		if i%2 == 0 {
			if at = r.fromNetdev(); !tcTakes(data) {
				continue
			}
		}
		r.run(t, at, data)
	}
	r.checkFlows(t)
}

// TestDSRWithoutRoom has packets that fit the way as they are, and no longer with the outer header.
func TestDSRWithoutRoom(t *testing.T) {
	t.Parallel()
	r := newRig(t, withDSR)
	for _, f := range families {
		overhead := map[family]int{v4: 20, v6: 40}[f]
		r.serveDirect(t, bpf.UDP, node1.at(f, 30080), remote.at(f, 80))
		sized := func(n int) packet.Template { // n bytes with IP and UDP headers and cookie
			return packet.UDP{Src: client.at(f, 40000), Dst: node1.at(f, 30080), Payload: make([]byte, n-overhead-8-16)}
		}
		r.send(t, r.xdp(), client, node1, sized(1500-overhead)).is(t, bpf.Tx, r.nic)
		r.send(t, r.xdp(), client, node1, sized(1500-overhead+1)).untouched(t)
		require.Equal(t, r.nic, r.send(t, r.fromNetdev(), client, node1, sized(1500-overhead)).event.Target)
		r.send(t, r.fromNetdev(), client, node1, sized(1500-overhead+1)).told(t, bpf.TooBig, tooBig(f, node1, client, uint16(1500-overhead)))
	}
}

func TestDSRWithoutAHopLeft(t *testing.T) {
	t.Parallel()
	r := newRig(t, withDSR)
	for _, f := range families {
		r.serveDirect(t, bpf.UDP, node1.at(f, 30080), remote.at(f, 80))
		last := []packet.Template{hops(f, 1), message(bpf.UDP, client.at(f, 40000), node1.at(f, 30080))}
		r.send(t, r.xdp(), client, node1, last...).untouched(t)
		r.send(t, r.fromNetdev(), client, node1, last...).told(t, bpf.TTLExpired, timeExceeded(f, node1, client))
	}
}

// TestDSRToTheNodeItself has a backend on the node's own network: its stack answers.
func TestDSRToTheNodeItself(t *testing.T) {
	t.Parallel()
	r := newRig(t, withDSR)
	eachFlow(t, balanced, func(t *testing.T, f family, p bpf.Protocol) {
		r.expect(t, p, nodePort(f, 30080), node1.at(f, 80))
		for _, at := range []hook{r.xdp(), r.fromNetdev()} {
			out := r.send(t, at, node2, node1, outer(f, f, node2, node1), message(p, client.at(f, 40000), node2.at(f, 30080)))
			out.is(t, bpf.Pass, 0)
			out.became(t, message(p, client.at(f, 40000), node1.at(f, 80)))
			answer := r.send(t, r.toNetdev(0), node1, client, message(p, node1.at(f, 80), client.at(f, 40000)))
			answer.became(t, message(p, node2.at(f, 30080), client.at(f, 40000)))
		}
	})
}

func TestDSRIsChecked(t *testing.T) {
	t.Parallel()
	r, without := newRig(t, withDSR), newRig(t)
	service := bpf.Service{Frontend: bpf.Frontend{Addr: node1.at(v4, 80), Protocol: bpf.TCP}, DSR: true}
	good := bpf.Direct{Frontend: bpf.Frontend{Addr: nodePort(v4, 80), Protocol: bpf.TCP}, Backend: podA.at(v4, 8080)}
	with := func(change func(*bpf.Direct)) bpf.Direct {
		changed := good
		change(&changed)
		return changed
	}
	require.NoError(t, r.PutDirect(good))
	require.NoError(t, r.DeleteDirect(good))
	require.NoError(t, r.DeleteDirect(good), "one that is not known")
	for want, err := range map[string]error{
		"bpf: service TCP 172.16.0.1:80 is for direct server return: load the node with Config.DSR": without.PutService(service),
		"bpf: direct TCP 0.0.0.0:80 at 10.0.1.1:8080: load the node with Config.DSR":                without.PutDirect(good),
		"bpf: service TCP 172.16.0.1:80: 10.0.2.1 has two backends, which direct server return cannot tell apart: give one port": r.PutService(
			bpf.Service{Frontend: service.Frontend, DSR: true, Backends: at(remote.at(v4, 80), remote.at(v4, 81))}),
		"bpf: packets for 172.16.0.1 come by direct server return: load the node with Config.DSR": without.PutOwn(node1.ipv4),
		"bpf: the stack's own address is none: give one":                                          r.PutOwn(netip.Addr{}),
		"bpf: direct TCP 0.0.0.0:0 at 10.0.1.1:8080 lacks an address or port: give frontend and backend both": r.PutDirect(with(func(d *bpf.Direct) {
			d.Addr = nodePort(v4, 0)
		})),
		"bpf: direct ICMP 0.0.0.0:80 at 10.0.1.1:8080: protocol ICMP is not balanced: give TCP or UDP": r.PutDirect(with(func(d *bpf.Direct) {
			d.Protocol = bpf.ICMP
		})),
		"bpf: direct TCP 0.0.0.0:80 at [fd00:10:0:1::1]:8080: the backend is of the other family: give each family a backend of its own": r.PutDirect(with(func(d *bpf.Direct) {
			d.Backend = podA.at(v6, 8080)
		})),
	} {
		require.EqualError(t, err, want)
	}
}
