package packet_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness/packet"
)

func TestBadFrames(t *testing.T) {
	t.Parallel()
	const ip, l4 = 14, 34
	frame := func(template packet.Template, change func(b []byte)) []byte {
		b := build(t, template).Data
		change(b)
		return b
	}
	none := func([]byte) {}
	tcp, udp := packet.TCP{Dst: web4}, packet.UDP{Dst: web4}
	for _, c := range []struct {
		name   string
		frame  []byte
		err    string // none if empty
		layers int    // that are understood
	}{
		{"empty", nil, "Ethernet header: packet is cut short: 0 bytes of at least 14", 0},
		{"short ethernet", make([]byte, 13), "Ethernet header: packet is cut short", 0},
		{"short ipv4", frame(tcp, none)[:33], "IPv4 header: packet is cut short: 19 bytes of at least 20", 1},
		{"short ipv6", frame(packet.TCP{Dst: web6}, none)[:53], "IPv6 header: packet is cut short: 39 bytes of at least 40", 1},
		{"short tcp", frame(tcp, none)[:53], "TCP header: packet is cut short: 19 bytes of at least 20", 2},
		{"short udp", frame(udp, none)[:41], "UDP header: packet is cut short: 7 bytes of at least 8", 2},
		{"short icmp", frame(packet.Echo{Dst: node4}, none)[:41], "ICMP header: packet is cut short: 7 bytes of at least 8", 2},
		{"short icmpv6", frame(packet.Echo{Dst: node6}, none)[:57], "ICMPv6 header: packet is cut short: 3 bytes of at least 4", 2},
		{"short echo over ipv6", frame(packet.Echo{Dst: node6}, none)[:61], "ICMPv6 header: packet is cut short: 7 bytes of at least 8", 2},
		{"short arp", frame(packet.WhoHas(node4), none)[:41], "ARP header: packet is cut short: 27 bytes of at least 28", 1},
		{"short solicitation", frame(packet.WhoHas(node6), none)[:70], "ICMPv6 neighbour solicitation: ", 2},
		{"short extension", frame(packet.Layers{packet.IPv6Extension{}, packet.TCP{Dst: web6}}, none)[:60], "IPv6 extension header: packet is cut short", 2},
		{"short fragment", frame(packet.Layers{packet.IPv6Fragment{}, packet.TCP{Dst: web6}}, none)[:60], "IPv6 fragment header: packet is cut short", 2},
		{"version", frame(tcp, func(b []byte) { b[ip] = 0x65 }), "IPv4 header: version is 6", 1},
		{"version of ipv6", frame(packet.TCP{Dst: web6}, func(b []byte) { b[ip] = 0x45 }), "IPv6 header: version is 4", 1},
		{"ihl too small", frame(tcp, func(b []byte) { b[ip] = 0x44 }), "IPv4 header: ", 1},
		{"ihl beyond the frame", frame(udp, func(b []byte) { b[ip] = 0x4f }), "IPv4 header: packet is cut short: 44 bytes of at least 60", 1},
		{"ip length too small", frame(tcp, func(b []byte) { binary.BigEndian.PutUint16(b[ip+2:], 19) }), "IPv4 header: ", 1},
		{"ip length beyond the frame", frame(tcp, func(b []byte) { binary.BigEndian.PutUint16(b[ip+2:], 9999) }), "", 3},
		{"ip options that lie", frame(packet.Layers{packet.IPv4{Options: []packet.Option{{Kind: 7, Data: make([]byte, 2)}}}, tcp}, func(b []byte) { b[ip+21] = 9 }), "IPv4 header: ", 1},
		{"tcp offset too small", frame(tcp, func(b []byte) { b[l4+12] = 0x40 }), "TCP header: ", 2},
		{"tcp offset beyond the frame", frame(tcp, func(b []byte) { b[l4+12] = 0xf0 }), "TCP header: packet is cut short: 36 bytes of at least 60", 2},
		{"tcp options that lie", frame(packet.TCP{Dst: web4, Options: []packet.Option{packet.MSS(1)}}, func(b []byte) { b[l4+21] = 99 }), "TCP header: ", 2},
		{"udp length too small", frame(udp, func(b []byte) { binary.BigEndian.PutUint16(b[l4+4:], 7) }), "UDP header: ", 2},
		{"udp length beyond the frame", frame(udp, func(b []byte) { binary.BigEndian.PutUint16(b[l4+4:], 9999) }), "", 3},
		{"arp for other addresses", frame(packet.WhoHas(node4), func(b []byte) { b[ip+4] = 200 }), "ARP for addresses of 200 and 4 bytes, not Ethernet and IPv4", 1},
		{"solicitation with an empty option", frame(packet.WhoHas(node6), func(b []byte) { b[79] = 0 }), "ICMPv6 neighbour solicitation: ", 2},
		{"extension beyond the frame", frame(packet.Layers{packet.IPv6Extension{}, packet.TCP{Dst: web6}}, func(b []byte) { b[55] = 255 }), "IPv6 extension header: packet is cut short", 2},
		{"quote that is none", frame(packet.ICMP{Dst: node4, Type: packet.ICMPTimeExceeded, Embedded: packet.Raw("xyz")}, none), "", 3},
		{"quote of half a header", frame(packet.ICMP{Dst: node4, Type: packet.ICMPTimeExceeded, Embedded: packet.Raw("E is 4 and 5")}, none), "", 3},
		{"vxlan without a frame", frame(packet.Layers{packet.UDP{Dst: addrPort("10.0.3.1:0")}, packet.VXLAN{}, packet.Raw("frame")}, none), "Ethernet header: packet is cut short", 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, err := packet.Decode(c.frame)
			require.NotNil(t, p)
			require.Equal(t, c.frame, p.Data)
			if c.err == "" {
				require.NoError(t, err)
				require.Len(t, p.Layers, c.layers)
				return
			}
			require.ErrorContains(t, err, "packet: "+c.err)
			require.ErrorContains(t, packet.VerifyChecksums(p), c.err)
			require.Contains(t, p.String(), c.err)
			require.Contains(t, p.Describe(), c.err)
			understood := p.Layers
			if n := len(understood); n > 0 {
				if raw, ok := understood[n-1].(packet.Raw); ok {
					require.NotEmpty(t, raw)
					understood = understood[:n-1]
				}
			}
			require.Len(t, understood, c.layers)
		})
	}
}

func TestPaddingIsNotPayload(t *testing.T) {
	t.Parallel()
	for _, template := range []packet.Template{packet.TCP{Dst: web4}, packet.UDP{Dst: web6}, packet.WhoHas(node4)} {
		whole := build(t, template)
		p, err := packet.Decode(append(whole.Data, "padding"...))
		require.NoError(t, err)
		require.Equal(t, whole.Layers, p.Layers)
		require.NoError(t, packet.VerifyChecksums(p))
	}
}

func TestOnlyVXLANIsReadAsVXLAN(t *testing.T) {
	t.Parallel()
	to := netip.AddrPortFrom(node4, packet.VXLANPort)
	_, ok := build(t, packet.UDP{Dst: to, Payload: []byte("something else")}).VXLAN()
	require.False(t, ok)
	_, ok = build(t, packet.Layers{packet.UDP{Dst: to}, packet.VXLAN{}, packet.WhoHas(node4)}).VXLAN()
	require.True(t, ok)
}

func TestLengthOfZeroIsZero(t *testing.T) {
	t.Parallel()
	p := build(t, packet.Layers{packet.IPv4{}, packet.Zero{"Length"}, packet.TCP{Dst: web4}})
	ip, ok := p.IPv4()
	require.True(t, ok)
	require.Zero(t, ip.Length)
}

func TestHeadersWithinHeadersHaveAnEnd(t *testing.T) {
	t.Parallel()
	var tunnel packet.Layers
	for range 100 {
		tunnel = append(tunnel, packet.IPv4{Dst: node4})
	}
	p, err := packet.Build(tunnel, defaults)
	require.NoError(t, err)
	require.Len(t, p.Layers, 65)
	require.ErrorContains(t, packet.VerifyChecksums(p), "more than 64 headers")
}

func TestDecodeSharesMemory(t *testing.T) {
	t.Parallel()
	frame := build(t, packet.UDP{Dst: web4, Payload: []byte("query")}).Data
	p, err := packet.Decode(frame)
	require.NoError(t, err)
	frame[len(frame)-1] = '!'
	udp, _ := p.UDP()
	require.Equal(t, "quer!", string(udp.Payload))
}
