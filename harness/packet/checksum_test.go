package packet_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness/packet"
)

func TestChecksumsOfSentPackets(t *testing.T) {
	t.Parallel()
	for _, c := range interesting {
		if c.name == "whole frame" {
			continue
		}
		require.NoError(t, packet.VerifyChecksums(build(t, c.template)), c.name)
	}
}

func TestChecksumsOfPacketsFromLinux(t *testing.T) {
	t.Parallel()
	for _, f := range frames(t) {
		p, err := packet.Decode(f.data)
		require.NoError(t, err, f.name)
		require.NoError(t, packet.VerifyChecksums(p), f.name)
	}
}

// What is built has to agree with checksums that are not ours.
func TestChecksumsAgreeWithGopacket(t *testing.T) {
	t.Parallel()
	type checksummed interface {
		SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
	}
	for size := range 40 {
		payload := []byte("0123456789abcdefghijklmnopqrstuvwxyzABCD")[:size]
		for _, template := range []packet.Template{
			packet.TCP{Dst: web4, Payload: payload}, packet.TCP{Dst: web6, Payload: payload},
			packet.UDP{Dst: web4, Payload: payload}, packet.UDP{Dst: web6, Payload: payload},
			packet.Echo{Dst: node4, Payload: payload}, // of ICMPv6, gopacket loses the payload
		} {
			p := build(t, template)
			other := gopacket.NewPacket(p.Data, layers.LayerTypeEthernet, gopacket.Default)
			for _, l := range other.Layers() {
				if l, ok := l.(checksummed); ok {
					require.NoError(t, l.SetNetworkLayerForChecksum(other.NetworkLayer()))
				}
			}
			b := gopacket.NewSerializeBuffer()
			require.NoError(t, gopacket.SerializePacket(b, gopacket.SerializeOptions{ComputeChecksums: true}, other))
			require.Equal(t, p.Data, b.Bytes()[:len(p.Data)], "%s", p) // gopacket pads
		}
	}
}

// Every bit that a checksum covers counts. The IPv6 header has none: of it, only
// addresses and the last protocol are in the pseudo header.
func TestAnyFlippedBitIsNoticed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		template packet.Template
		from     int // the first byte that a checksum covers
	}{
		{"tcp", packet.TCP{Dst: web4, Payload: []byte("odd")}, 14},
		{"udp", packet.UDP{Dst: web4}, 14},
		{"echo", packet.Echo{Dst: node4}, 14},
		{"tcp over ipv6", packet.TCP{Dst: web6}, 14 + 8},
		{"udp over ipv6", packet.UDP{Dst: web6}, 14 + 8},
		{"echo over ipv6", packet.Echo{Dst: node6, Payload: []byte("odd")}, 14 + 8},
		{"neighbour solicitation", packet.WhoHas(node6), 14 + 8},
		{"tcp in vxlan", packet.Layers{packet.IPv4{Dst: node4}, packet.VXLAN{VNI: 1}, packet.TCP{Dst: web4}}, 14},
		{"tcp in ipip", packet.Layers{packet.IPv4{Dst: node4}, packet.IPv4{}, packet.TCP{Dst: web4}}, 14},
		{"quoted tcp", packet.ICMP{Dst: node4, Type: packet.ICMPTimeExceeded, Embedded: packet.TCP{Dst: web4}}, 14},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := build(t, c.template)
			for bit := c.from * 8; bit < len(p.Data)*8; bit++ {
				broken := append([]byte(nil), p.Data...)
				broken[bit/8] ^= 1 << (bit % 8)
				q, _ := packet.Decode(broken)
				require.Error(t, packet.VerifyChecksums(q), "bit %d of byte %d", bit%8, bit/8)
			}
		})
	}
}

func TestWrongChecksumSaysWhere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		layer    string
		template packet.Template
		got      uint16
	}{
		{"IPv4", packet.Layers{packet.IPv4{Checksum: 0xdead}, packet.UDP{Dst: web4}}, 0xdead},
		{"TCP", packet.TCP{Dst: web6, Checksum: 0xdead}, 0xdead},
		{"UDP", packet.UDP{Dst: web4, Checksum: 0xdead}, 0xdead},
		{"UDP", packet.Layers{packet.UDP{Dst: web6}, packet.Zero{"Checksum"}}, 0}, // no checksum is for IPv4 only
		{"ICMP", packet.ICMP{Dst: node4, Checksum: 0xdead}, 0xdead},
		{"ICMPv6", packet.ICMPv6{Dst: node6, Checksum: 0xdead}, 0xdead},
		{"IPv4(2)", packet.Layers{packet.IPv4{Dst: node4}, packet.IPv4{Checksum: 0xdead}, packet.TCP{Dst: web4}}, 0xdead},
		{"UDP(2)", packet.Layers{packet.IPv4{Dst: node4}, packet.VXLAN{}, packet.UDP{Dst: web6, Checksum: 0xdead}}, 0xdead},
		{"TCP", packet.ICMPv6{Dst: node6, Type: packet.ICMPv6TimeExceeded, Embedded: packet.TCP{Dst: web6, Checksum: 0xdead}}, 0xdead},
	} {
		t.Run(c.layer, func(t *testing.T) {
			t.Parallel()
			err := packet.VerifyChecksums(build(t, c.template))
			var wrong *packet.ChecksumError
			require.ErrorAs(t, err, &wrong)
			require.Equal(t, c.layer, wrong.Layer)
			require.Equal(t, c.got, wrong.Got)
			require.NotEqual(t, c.got, wrong.Want)
			require.ErrorContains(t, err, c.layer+" checksum is")
		})
	}
}

// What is allowed is a stale TCP or UDP checksum of a quoted packet: no other in the
// quote, none outside of it, and not when another is wrong too.
func TestStaleQuotes(t *testing.T) {
	t.Parallel()
	about4 := func(quoted packet.Template) packet.ICMP {
		return packet.ICMP{Dst: node4, Type: packet.ICMPTimeExceeded, Embedded: quoted}
	}
	stale4, stale6 := packet.TCP{Dst: web4, Checksum: 0xdead}, packet.UDP{Dst: web6, Checksum: 0xdead}
	wrongICMP := about4(stale4)
	wrongICMP.Checksum = 0xdead
	for _, c := range []struct {
		name           string
		template       packet.Template
		quoted, passes bool
	}{
		{"quoted TCP", about4(stale4), true, true},
		{"quoted UDP", packet.ICMPv6{Dst: node6, Type: packet.ICMPv6TimeExceeded, Embedded: stale6}, true, true},
		{"quoted TCP in a tunnel", packet.Layers{packet.IPv4{Dst: node4}, packet.IPv4{}, about4(stale4)}, true, true},
		{"quoted UDP in VXLAN", packet.Layers{packet.IPv4{Dst: node4}, packet.VXLAN{VNI: 1}, about4(packet.UDP{Dst: web4, Checksum: 0xdead})}, true, true},
		{"quoted IPv4", about4(packet.Layers{packet.IPv4{Checksum: 0xdead}, packet.TCP{Dst: web4}}), true, false},
		{"quoted ICMP", about4(packet.ICMP{Dst: node4, Type: packet.ICMPEchoRequest, Checksum: 0xdead}), true, false},
		{"ICMP that quotes", wrongICMP, false, false},
		{"TCP", stale4, false, false},
		{"UDP", stale6, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := build(t, c.template)
			err := packet.VerifyChecksums(p)
			var wrong *packet.ChecksumError
			require.ErrorAs(t, err, &wrong, "nothing is allowed unless it is said")
			require.Equal(t, c.quoted, wrong.Quoted)
			require.Equal(t, c.quoted, strings.Contains(err.Error(), "packet: quoted "), "%v", err)
			require.Equal(t, c.passes, packet.VerifyChecksums(p, packet.StaleQuote) == nil, "%v", err)
		})
	}
}

func TestEveryWrongChecksumIsNamed(t *testing.T) {
	t.Parallel()
	err := packet.VerifyChecksums(build(t, packet.Layers{packet.IPv4{Checksum: 1}, packet.UDP{Dst: web4, Checksum: 2}}))
	require.ErrorContains(t, err, "IPv4 checksum is 0x0001")
	require.ErrorContains(t, err, "UDP checksum is 0x0002")
}

func TestChecksumOfWhatWasNotCaptured(t *testing.T) {
	t.Parallel()
	for _, dst := range []string{"10.0.3.1:80", "[fd00:10:0:3::1]:80"} {
		whole := build(t, packet.TCP{Dst: addrPort(dst), Payload: make([]byte, 100)})
		p, err := packet.Decode(whole.Data[:100])
		require.NoError(t, err, "its headers are whole")
		require.ErrorIs(t, packet.VerifyChecksums(p), packet.ErrTruncated)

		p, err = packet.Decode(whole.Data[:40])
		require.ErrorIs(t, err, packet.ErrTruncated)
		require.ErrorIs(t, packet.VerifyChecksums(p), packet.ErrTruncated)
	}
}

// A fragment has the checksum of a datagram that is not all there.
func TestChecksumOfAFragment(t *testing.T) {
	t.Parallel()
	for _, first := range []packet.Layers{
		{packet.IPv4{MF: true}, packet.UDP{Dst: web4, Checksum: 0xdead}},
		{packet.IPv6Fragment{More: true}, packet.UDP{Dst: web6, Checksum: 0xdead}},
	} {
		require.NoError(t, packet.VerifyChecksums(build(t, first)))
	}
}

// The sum of a UDP checksum can be 0, which has to be sent as 0xffff (RFC 768).
func TestUDPChecksumIsNeverZero(t *testing.T) {
	t.Parallel()
	for _, dst := range []string{"10.0.3.1:80", "[fd00:10:0:3::1]:80"} {
		p := build(t, packet.UDP{Dst: addrPort(dst), Payload: []byte{0, 0}})
		udp, _ := p.UDP()
		payload := binary.BigEndian.AppendUint16(nil, udp.Checksum) // makes up for the rest
		p = build(t, packet.UDP{Dst: addrPort(dst), Payload: payload})
		udp, _ = p.UDP()
		require.EqualValues(t, 0xffff, udp.Checksum)
		require.NoError(t, packet.VerifyChecksums(p))
	}
}

// Incremental updates can leave the other zero of ones' complement.
func TestOtherZeroIsAsGood(t *testing.T) {
	t.Parallel()
	p := build(t, packet.Layers{packet.TCP{Dst: web4, Flags: packet.ACK}, packet.Zero{"Urgent"}})
	tcp, _ := p.TCP()
	makesZero := packet.TCP{Dst: web4, Flags: packet.ACK, Urgent: tcp.Checksum}
	p = build(t, makesZero)
	tcp, _ = p.TCP()
	require.Zero(t, tcp.Checksum)
	makesZero.Checksum = 0xffff
	require.NoError(t, packet.VerifyChecksums(build(t, makesZero)))
}
