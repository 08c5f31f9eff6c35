package packet_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness/packet"
)

// segment is what most templates of these tests are compared with.
var segment = packet.Layers{packet.IPv4{TTL: 63, TOS: 8}, packet.TCP{
	Src: nodePort4, Dst: web4, Flags: packet.SYN | packet.ACK, Seq: 7, Ack: 8, Payload: []byte("hello"),
	Options: []packet.Option{packet.MSS(1460), packet.WindowScale(7)},
}}

func TestMatches(t *testing.T) {
	t.Parallel()
	datagram6 := packet.Layers{packet.IPv6Extension{}, packet.UDP{Dst: web6}}
	quote := packet.ICMP{Dst: node4, Type: packet.ICMPTimeExceeded, Embedded: packet.TCP{Dst: web4}}
	for _, c := range []struct {
		name       string
		want, sent packet.Template
		matches    bool
	}{
		{"anything", packet.Layers{}, packet.WhoHas(node4), true},
		{"any segment", packet.TCP{}, segment, true},
		{"another protocol", packet.UDP{}, segment, false},
		{"flags", packet.TCP{Flags: packet.ACK | packet.SYN}, segment, true},
		{"fewer flags", packet.TCP{Flags: packet.SYN}, segment, false},
		{"more flags", packet.TCP{Flags: packet.SYN | packet.ACK | packet.PSH}, segment, false},
		{"address and port", packet.TCP{Dst: web4}, segment, true},
		{"address only", packet.TCP{Dst: addrPort("10.0.3.1:0")}, segment, true},
		{"another address", packet.TCP{Dst: addrPort("10.0.3.2:0")}, segment, false},
		{"another port", packet.TCP{Dst: addrPort("10.0.3.1:81")}, segment, false},
		{"mapped address", packet.TCP{Dst: addrPort("[::ffff:10.0.3.1]:80")}, segment, true},
		{"mapped address on the wire", packet.UDP{Src: addrPort("10.0.3.1:0")}, packet.Raw(mapped(build(t, packet.UDP{Dst: web6}).Data)), false},
		{"address of the other family", packet.TCP{Dst: web6}, segment, false},
		{"ip header", packet.IPv4{TTL: 63}, segment, true},
		{"another ttl", packet.Layers{packet.IPv4{TTL: 64}, packet.TCP{Dst: web4}}, segment, false},
		{"another family", packet.IPv6{}, segment, false},
		{"frame", packet.Ethernet{Dst: defaults.DstMAC}, segment, true},
		{"another frame", packet.Ethernet{Dst: defaults.SrcMAC}, segment, false},
		{"payload after the cookie", packet.TCP{Payload: []byte("hello")}, segment, true},
		{"another payload", packet.TCP{Payload: []byte("hell")}, segment, false},
		{"no payload", packet.TCP{Payload: []byte{}}, segment, false},
		{"no payload, and there is none", packet.UDP{Payload: []byte{}}, packet.UDP{Dst: web4}, true},
		{"one option", packet.TCP{Options: []packet.Option{packet.WindowScale(7)}}, segment, true},
		{"another option", packet.TCP{Options: []packet.Option{packet.WindowScale(8)}}, segment, false},
		{"no options", packet.TCP{Options: []packet.Option{}}, segment, false},
		{"zero", packet.Layers{packet.TCP{}, packet.Zero{"Seq"}}, segment, false},
		{"zero, and it is", packet.Layers{packet.TCP{}, packet.Zero{"Urgent"}}, segment, true},
		{"zero vni", packet.Layers{packet.VXLAN{}, packet.Zero{"VNI"}}, packet.Layers{packet.UDP{Dst: addrPort("10.0.3.1:0")}, packet.VXLAN{VNI: 1}, packet.WhoHas(node4)}, false},
		{"echo request", packet.Echo{}, packet.Echo{Dst: node4}, true},
		{"echo request over ipv6", packet.Echo{}, packet.Echo{Dst: node6}, true},
		{"echo reply", packet.Echo{Reply: true}, packet.Echo{Dst: node4, Reply: true}, true},
		{"echo reply for a request", packet.Echo{}, packet.Echo{Dst: node4, Reply: true}, false},
		{"echo request for a reply", packet.Echo{Reply: true}, packet.Echo{Dst: node6}, false},
		{"echo for something else", packet.Echo{}, segment, false},
		{"who has", packet.WhoHas(node4), packet.WhoHas(node4), true},
		{"who has another", packet.WhoHas(node6), packet.WhoHas(web6.Addr()), false},
		{"is at", packet.IsAt(node6, nil), packet.IsAt(node6, mac("02:01:00:00:00:02")), true},
		{"is at another", packet.IsAt(node6, defaults.DstMAC), packet.IsAt(node6, mac("02:01:00:00:00:02")), false},
		{"extension passed over", packet.UDP{Dst: web6}, datagram6, true},
		{"extension named", packet.Layers{packet.IPv6Extension{}, packet.UDP{}}, datagram6, true},
		{"extension missing", packet.Layers{packet.IPv6Extension{}, packet.UDP{}}, packet.UDP{Dst: web6}, false},
		{"extension is another", packet.Layers{packet.IPv6Fragment{}, packet.UDP{}}, datagram6, false},
		{"inner packet is not the packet", packet.TCP{}, packet.Layers{packet.IPv4{Dst: node4}, packet.IPv4{}, packet.TCP{Dst: web4}}, false},
		{"inner packet", packet.Layers{packet.IPv4{}, packet.IPv4{}, packet.TCP{}}, packet.Layers{packet.IPv4{Dst: node4}, packet.IPv4{}, packet.TCP{Dst: web4}}, true},
		{"outer only", packet.IPv4{Dst: node4}, packet.Layers{packet.IPv4{Dst: node4}, packet.IPv4{}, packet.TCP{Dst: web4}}, true},
		{"quote", packet.ICMP{Embedded: packet.TCP{Dst: web4}}, quote, true},
		{"quote of another", packet.ICMP{Embedded: packet.TCP{Dst: nodePort4}}, quote, false},
		{"quote ignored", packet.ICMP{Type: packet.ICMPTimeExceeded}, quote, true},
		{"zero of what quotes", packet.Layers{packet.ICMP{Embedded: packet.TCP{}}, packet.Zero{"Code"}}, quote, true},
		{"quote missing", packet.ICMP{Embedded: packet.TCP{}}, packet.ICMP{Dst: node4, Type: packet.ICMPTimeExceeded}, false},
		{"raw", packet.Layers{packet.IPv4{Protocol: 132}, packet.Raw("x")}, packet.Layers{packet.IPv4{Dst: node4, Protocol: 132}, packet.Raw("x")}, true},
		{"raw is another", packet.Layers{packet.IPv4{Protocol: 132}, packet.Raw("x")}, packet.Layers{packet.IPv4{Dst: node4, Protocol: 132}, packet.Raw("xy")}, false},
		{"more layers than there are", packet.TCP{}, packet.IPv4{Dst: node4}, false},
		{"template that cannot be", packet.Layers{packet.TCP{}, packet.TCP{}}, segment, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := packet.Match(c.want, build(t, c.sent))
			if c.matches && m != nil {
				t.Error(m)
			}
			if !c.matches && m == nil {
				t.Errorf("%#v matches", c.want)
			}
		})
	}
}

// mapped puts the IPv6 form of 10.0.3.1 into the source of an IPv6 header.
func mapped(frame []byte) []byte {
	source := web4.Addr().As16()
	copy(frame[14+8:], source[:])
	return frame
}

func TestPacketsFromLinuxMatchTheirOwnLayers(t *testing.T) {
	t.Parallel()
	for _, f := range frames(t) {
		p, err := packet.Decode(f.data)
		require.NoError(t, err, f.name)
		if m := packet.Match(p.Layers, p); m != nil {
			t.Errorf("%s: %s", f.name, m)
		}
	}
}

// Of a quoted TCP header that was cut, ports and number can be told.
func TestShortQuote(t *testing.T) {
	t.Parallel()
	segment := build(t, packet.TCP{Src: web4, Dst: nodePort4, Seq: 99, Options: []packet.Option{packet.MSS(1460)}})
	for _, size := range []int{8, 19, 20, 23} {
		p := build(t, packet.ICMP{Type: packet.ICMPTimeExceeded, Dst: web4.Addr(), Embedded: packet.Raw(segment.Data[14 : 34+size])})
		if m := packet.Match(packet.ICMP{Embedded: packet.TCP{Src: web4, Dst: nodePort4, Seq: 99}}, p); m != nil {
			t.Errorf("%d bytes: %s", size, m)
		}
		require.NotNil(t, packet.Match(packet.ICMP{Embedded: packet.TCP{Seq: 98}}, p), size)
		require.NoError(t, packet.VerifyChecksums(p), size)
	}
}

func TestPayloadWithoutCookieIsMatchedWhole(t *testing.T) {
	t.Parallel()
	p, err := packet.Build(packet.UDP{Dst: web4, Payload: []byte("query")}, packet.Defaults{SrcIPv4: node4})
	require.NoError(t, err)
	require.Nil(t, packet.Match(packet.UDP{Payload: []byte("query")}, p))
	require.NotNil(t, packet.Match(packet.UDP{Payload: []byte("y")}, p))
}

func TestPrintOfTemplates(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	for _, c := range interesting {
		fmt.Fprintf(&out, "# %s\n%s\n", c.name, c.template)
	}
	golden(t, "templates.golden", out.String())
	require.Equal(t, "TCP{Src *:80, Flags SYN}", fmt.Sprint(packet.TCP{Src: netip.AddrPortFrom(netip.Addr{}, 80), Flags: packet.SYN}))
	require.Equal(t, "TCP{}", fmt.Sprint(packet.TCP{}))
}

func TestPrintOfMismatch(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	for _, c := range []struct {
		name       string
		want, sent packet.Template
	}{
		{"fields", packet.Layers{packet.IPv4{TTL: 62, TOS: 8}, packet.TCP{
			Src: nodePort4, Dst: addrPort("10.0.3.1:0"), Flags: packet.SYN, Seq: 7, Payload: []byte("bye"),
			Options: []packet.Option{packet.MSS(1400)}, Checksum: 0xdead,
		}}, segment},
		{"another family", packet.TCP{Src: addrPort("0.0.0.0:80"), Dst: web6}, segment},
		{"another layer", packet.Layers{packet.IPv4{TTL: 63}, packet.UDP{Dst: web4}}, segment},
		{"another layer early", packet.Layers{packet.IPv6{HopLimit: 3}, packet.TCP{Dst: web4, Flags: packet.SYN}}, segment},
		{"missing layer", packet.Layers{packet.IPv4{}, packet.TCP{}}, packet.IPv4{Dst: node4}},
		{"zero", packet.Layers{packet.TCP{}, packet.Zero{"Seq", "Urgent"}}, segment},
		{"inner header", packet.Layers{packet.IPv4{}, packet.IPv4{TTL: 1}, packet.TCP{}}, packet.Layers{packet.IPv4{Dst: node4}, packet.IPv4{TTL: 2}, packet.TCP{Dst: web4}}},
		{"quote", packet.ICMP{Embedded: packet.TCP{Dst: nodePort4}}, packet.ICMP{Dst: node4, Type: packet.ICMPTimeExceeded, Embedded: packet.TCP{Dst: web4}}},
		{"raw", packet.Layers{packet.IPv4{}, packet.Raw("text")}, packet.Layers{packet.IPv4{Dst: node4}, packet.Raw{0, 1, 2}}},
		{"macs", packet.WhoHas(node4), packet.IsAt(node4, nil)},
		{"template that cannot be", packet.Layers{packet.TCP{}, packet.TCP{}}, segment},
	} {
		m := packet.Match(c.want, build(t, c.sent))
		require.NotNil(t, m, c.name)
		fmt.Fprintf(&out, "# %s\n%s\n", c.name, m)
	}
	golden(t, "mismatches.golden", out.String())
}
