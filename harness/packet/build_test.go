package packet_test

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness/packet"
)

func TestSentPacketMatchesItsTemplate(t *testing.T) {
	t.Parallel()
	for _, c := range interesting {
		t.Run(c.name, func(t *testing.T) {
			p := build(t, c.template)
			if m := packet.Match(c.template, p); m != nil {
				t.Error(m)
			}
			if m := packet.Match(p.Layers, p); m != nil {
				t.Errorf("its own layers: %s", m)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	p := build(t, packet.TCP{Dst: web4})
	ethernet, _ := p.Ethernet()
	require.Equal(t, packet.Ethernet{Src: defaults.SrcMAC, Dst: defaults.DstMAC, Type: packet.EtherTypeIPv4}, ethernet)
	ip, _ := p.IPv4()
	require.Equal(t, defaults.SrcIPv4, ip.Src)
	require.EqualValues(t, 64, ip.TTL)
	require.True(t, ip.DF)
	tcp, _ := p.TCP()
	require.Equal(t, packet.SYN, tcp.Flags)
	require.EqualValues(t, 65535, tcp.Window)

	solicitation := build(t, packet.WhoHas(web6.Addr()))
	ip6, _ := solicitation.IPv6()
	require.Equal(t, addr("ff02::1:ff00:1"), ip6.Dst)
	require.EqualValues(t, 255, ip6.HopLimit)
}

func TestGroupsHaveTheirLinkLayerAddress(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		template packet.Template
		want     string
	}{
		{"ipv6 group", packet.UDP{Dst: addrPort("[ff02::1:2]:547")}, "33:33:00:01:00:02"},
		{"ipv4 group", packet.UDP{Dst: addrPort("239.129.2.3:53")}, "01:00:5e:01:02:03"},
		{"ipv4 broadcast", packet.UDP{Dst: addrPort("255.255.255.255:67")}, "ff:ff:ff:ff:ff:ff"},
		{"solicitation", packet.WhoHas(web6.Addr()), "33:33:ff:00:00:01"},
		{"arp request", packet.WhoHas(node4), "ff:ff:ff:ff:ff:ff"},
		{"arp announcement", packet.IsAt(node4, nil), "ff:ff:ff:ff:ff:ff"},
		{"arp reply", packet.ARP{Op: packet.ARPReply, TargetIP: node4, TargetMAC: mac("02:01:00:00:00:02")}, "02:01:00:00:00:02"},
		{"arp reply to the next hop", packet.ARP{Op: packet.ARPReply, TargetIP: node4}, "02:01:00:00:00:01"},
		{"said otherwise", packet.Layers{packet.Ethernet{Dst: defaults.SrcMAC}, packet.WhoHas(node4)}, "02:02:00:00:00:01"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ethernet, _ := build(t, c.template).Ethernet()
			require.Equal(t, mac(c.want), ethernet.Dst)
		})
	}
}

func TestMappedAddressIsIPv4(t *testing.T) {
	t.Parallel()
	p := build(t, packet.TCP{Dst: addrPort("[::ffff:10.0.3.1]:80")})
	require.Equal(t, web4, p.Dst())
}

func TestFieldsThatLie(t *testing.T) {
	t.Parallel()
	const ip, l4 = 14, 34
	word := func(b []byte, at int) int { return int(binary.BigEndian.Uint16(b[at:])) }
	for _, c := range []struct {
		name     string
		template packet.Template
		got      func(frame []byte) int
		want     int
	}{
		{"IPv4.IHL", packet.Layers{packet.IPv4{IHL: 15}, packet.UDP{Dst: web4}}, func(b []byte) int { return int(b[ip] & 15) }, 15},
		{"IPv4.IHL of zero", packet.Layers{packet.IPv4{}, packet.Zero{"IHL"}, packet.UDP{Dst: web4}}, func(b []byte) int { return int(b[ip] & 15) }, 0},
		{"IPv4.Length", packet.Layers{packet.IPv4{Length: 9}, packet.UDP{Dst: web4}}, func(b []byte) int { return word(b, ip+2) }, 9},
		{"IPv4.Checksum", packet.Layers{packet.IPv4{Checksum: 0xdead}, packet.UDP{Dst: web4}}, func(b []byte) int { return word(b, ip+10) }, 0xdead},
		{"IPv4.TTL of zero", packet.Layers{packet.IPv4{}, packet.Zero{"TTL"}, packet.UDP{Dst: web4}}, func(b []byte) int { return int(b[ip+8]) }, 0},
		{"IPv4.DF of zero", packet.Layers{packet.IPv4{}, packet.Zero{"DF"}, packet.UDP{Dst: web4}}, func(b []byte) int { return word(b, ip+6) }, 0},
		{"IPv4.Protocol", packet.Layers{packet.IPv4{Protocol: 6}, packet.UDP{Dst: web4}}, func(b []byte) int { return int(b[ip+9]) }, 6},
		{"IPv6.Length", packet.Layers{packet.IPv6{Length: 9}, packet.UDP{Dst: web6}}, func(b []byte) int { return word(b, ip+4) }, 9},
		{"UDP.Length", packet.UDP{Dst: web4, Length: 999}, func(b []byte) int { return word(b, l4+4) }, 999},
		{"UDP.Checksum", packet.UDP{Dst: web4, Checksum: 0xdead}, func(b []byte) int { return word(b, l4+6) }, 0xdead},
		{"UDP.Checksum of zero", packet.Layers{packet.UDP{Dst: web4}, packet.Zero{"Checksum"}}, func(b []byte) int { return word(b, l4+6) }, 0},
		{"TCP.DataOffset", packet.TCP{Dst: web4, DataOffset: 15}, func(b []byte) int { return int(b[l4+12] >> 4) }, 15},
		{"TCP.Checksum", packet.TCP{Dst: web4, Checksum: 0xdead}, func(b []byte) int { return word(b, l4+16) }, 0xdead},
		{"ICMP.Checksum", packet.ICMP{Dst: node4, Checksum: 0xdead}, func(b []byte) int { return word(b, l4+2) }, 0xdead},
		{"Ethernet.Type", packet.Layers{packet.Ethernet{Type: 0x1234}, packet.UDP{Dst: web4}}, func(b []byte) int { return word(b, 12) }, 0x1234},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, c.got(build(t, c.template).Data))
		})
	}
}

// A receiver takes an IPv4 header for as long as it says, so the checksum of one
// that says too much must not be what it is dropped for.
func TestHeaderLongerThanItIsHasAGoodChecksum(t *testing.T) {
	t.Parallel()
	p := build(t, packet.Layers{packet.IPv4{IHL: 8}, packet.UDP{Dst: web4}})
	sum := uint32(0)
	for at := 14; at < 14+8*4; at += 2 {
		sum += uint32(binary.BigEndian.Uint16(p.Data[at:]))
	}
	require.EqualValues(t, 0xffff, sum>>16+sum&0xffff)
}

func TestTemplatesThatCannotBe(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		template packet.Template
		want     string
	}{
		{"nil", nil, "a layer is nil"},
		{"empty", packet.Layers{}, "there is no layer"},
		{"pointer", &packet.TCP{Dst: web4}, "a layer is a *packet.TCP: give the value, not a pointer"},
		{"no family", packet.TCP{Flags: packet.SYN}, "nothing tells IPv4 from IPv6: set TCP.Dst"},
		{"no destination", packet.ICMP{}, "IPv4.Dst is not set"},
		{"two addresses", packet.Layers{packet.IPv4{Dst: node4}, packet.TCP{Dst: web4}}, "TCP.Dst is 10.0.3.1, but the IP header before it says 172.16.0.2; give the address once"},
		{"other family", packet.Layers{packet.IPv6{}, packet.TCP{Dst: web4}}, "IPv6.Dst is 10.0.3.1, an address of the other family"},
		{"mixed families", packet.TCP{Src: web6, Dst: web4}, "IPv6.Dst is 10.0.3.1, an address of the other family"},
		{"icmp over ipv6", packet.Layers{packet.IPv6{Dst: node6}, packet.ICMP{}}, "IPv6 cannot carry ICMP; use ICMPv6"},
		{"icmpv6 over ipv4", packet.ICMPv6{Dst: node4}, "IPv4 cannot carry ICMPv6; use ICMP"},
		{"tcp in tcp", packet.Layers{packet.TCP{Dst: web4}, packet.TCP{Dst: web4}}, "TCP cannot carry TCP"},
		{"raw in tcp", packet.Layers{packet.TCP{Dst: web4}, packet.Raw("x")}, "TCP cannot carry Raw: bytes that it carries are its Payload"},
		{"arp in ip", packet.Layers{packet.IPv4{Dst: node4}, packet.WhoHas(node4)}, "IPv4 cannot carry ARP"},
		{"arp in a quote", packet.ICMP{Dst: node4, Type: packet.ICMPTimeExceeded, Embedded: packet.WhoHas(node4)}, "ICMP cannot carry ARP"},
		{"vxlan in tcp", packet.Layers{packet.TCP{Dst: web4}, packet.VXLAN{}}, "TCP cannot carry VXLAN"},
		{"payload and vxlan", packet.Layers{packet.UDP{Dst: web4, Payload: []byte("x")}, packet.VXLAN{}, packet.WhoHas(node4)}, "UDP: it carries a Payload or the layer that follows, not both"},
		{"echo with a quote", packet.ICMP{Dst: node4, Embedded: packet.TCP{Dst: web4}}, "ICMP: a packet is embedded, and the type is none of an error"},
		{"payload and quote", packet.ICMPv6{Dst: node6, Type: 1, Payload: []byte("x"), Embedded: packet.TCP{Dst: web6}}, "ICMPv6: an error carries Embedded or Payload, not both"},
		{"zero first", packet.Layers{packet.Zero{"Seq"}, packet.TCP{Dst: web4}}, `there is no layer before Zero["Seq"]`},
		{"zero of no field", packet.Layers{packet.TCP{Dst: web4}, packet.Zero{"TTL"}}, "a Zero names TCP.TTL, and there is no such field"},
		{"zero of an address", packet.Layers{packet.TCP{Dst: web4}, packet.Zero{"Src"}}, "a Zero names TCP.Src, and that field has no zero"},
		{"zero that is not", packet.Layers{packet.TCP{Dst: web4, Seq: 5}, packet.Zero{"Seq"}}, "a Zero names TCP.Seq, which is 5"},
		{"long options", packet.TCP{Dst: web4, Options: []packet.Option{{Kind: 9, Data: make([]byte, 40)}}}, "TCP: its options are 42 bytes long, at most 40 fit"},
		{"long ip options", packet.Layers{packet.IPv4{Dst: node4, Options: []packet.Option{{Kind: 9, Data: make([]byte, 300)}}}}, "IPv4: its options are 302 bytes long, at most 40 fit"},
		{"long packet", packet.UDP{Dst: web4, Payload: make([]byte, 65536)}, "UDP: the datagram is 65560 bytes long, at most 65535 fit"},
		{"long segment", packet.TCP{Dst: web4, Payload: make([]byte, 65500)}, "IPv4: the packet is 65556 bytes long, at most 65535 fit"},
		{"long segment over ipv6", packet.TCP{Dst: web6, Payload: make([]byte, 65500)}, "IPv6: the payload is 65536 bytes long, at most 65535 fit"},
		{"odd fragment", packet.Layers{packet.IPv4{Dst: node4, FragOffset: 9}, packet.Raw("x")}, "IPv4: a fragment starts at a multiple of 8 bytes, not at 9"},
		{"odd ipv6 fragment", packet.Layers{packet.IPv6{Dst: node6}, packet.IPv6Fragment{Offset: 9}}, "IPv6Fragment: a fragment starts at a multiple of 8 bytes, not at 9"},
		{"odd extension", packet.Layers{packet.IPv6{Dst: node6}, packet.IPv6Extension{Data: []byte{1}}}, "IPv6Extension: its Data is 1 bytes long; 6, 14, 22, up to 2046 fit"},
		{"flow label", packet.IPv6{Dst: node6, FlowLabel: 1 << 20}, "IPv6: its FlowLabel is 0x100000, and has 20 bits"},
		{"vni", packet.Layers{packet.IPv4{Dst: node4}, packet.VXLAN{VNI: 1 << 24}, packet.WhoHas(node4)}, "VXLAN: its VNI is 0x1000000, and has 24 bits"},
		{"data offset", packet.TCP{Dst: web4, DataOffset: 16}, "TCP: its DataOffset is 0x10, and has 4 bits"},
		{"ihl", packet.IPv4{Dst: node4, IHL: 16}, "IPv4: its IHL is 0x10, and has 4 bits"},
		{"flags", packet.TCP{Dst: web4, Flags: 0x200}, "TCP: its Flags is 0x200, and has 9 bits"},
		{"short mac", packet.Layers{packet.Ethernet{Src: []byte{1}}, packet.TCP{Dst: web4}}, "Ethernet: a MAC has 6 bytes, not those of 01 and 02:01:00:00:00:01"},
		{"arp for ipv6", packet.ARP{TargetIP: node6}, "ARP: SenderIP and TargetIP have to be IPv4 addresses"},
		{"solicitation of nothing", packet.ICMPv6{Dst: node6, Type: packet.ICMPv6NeighbourSolicitation}, "ICMPv6: its Target has to be an IPv6 address"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, err := packet.Build(c.template, defaults)
			require.ErrorContains(t, err, "packet template: "+c.want)
			require.Nil(t, p)
		})
	}
}

func TestDestination(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		template packet.Template
		want     string
	}{
		{"tcp", packet.TCP{Dst: web4}, "10.0.3.1"},
		{"ip", packet.Layers{packet.IPv6{Dst: node6}, packet.TCP{}}, "fd00:172:16::2"},
		{"tunnel", packet.Layers{packet.IPv4{Dst: node4}, packet.IPv4{}, packet.TCP{Dst: web4}}, "172.16.0.2"},
		{"error goes to the source of what it is about", packet.ICMP{Type: 3, Embedded: packet.TCP{Src: web4}}, "10.0.3.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, ok := packet.Destination(c.template)
			require.True(t, ok)
			require.Equal(t, addr(c.want), got)
		})
	}
	for _, none := range []packet.Template{packet.WhoHas(node4), packet.WhoHas(node6), packet.TCP{}, packet.Raw("frame"), nil} {
		_, ok := packet.Destination(none)
		require.False(t, ok, "%#v", none)
	}
}
