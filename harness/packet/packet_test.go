package packet_test

import (
	"bufio"
	"encoding/hex"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness/packet"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The sender is host 1; what it sends goes by node 1.
var (
	defaults = packet.Defaults{
		SrcMAC:  mac("02:02:00:00:00:01"),
		DstMAC:  mac("02:01:00:00:00:01"),
		SrcIPv4: addr("172.31.0.1"),
		SrcIPv6: addr("fd00:172:31::1"),
		Cookie:  17,
	}
	nodePort4, nodePort6 = addrPort("172.16.0.1:30080"), addrPort("[fd00:172:16::1]:30080")
	web4, web6           = addrPort("10.0.3.1:80"), addrPort("[fd00:10:0:3::1]:80")
	node4, node6         = addr("172.16.0.2"), addr("fd00:172:16::2")
)

func addr(s string) netip.Addr         { return netip.MustParseAddr(s) }
func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func mac(s string) net.HardwareAddr {
	m, err := net.ParseMAC(s)
	if err != nil {
		panic(err)
	}
	return m
}

// A named template, for tables.
type named struct {
	name     string
	template packet.Template
}

// interesting are packets of all kinds. The golden files show what becomes of them.
var interesting = []named{
	{"tcp", packet.TCP{Dst: nodePort4}},
	{"tcp over ipv6", packet.TCP{Dst: nodePort6}},
	{"tcp with everything", packet.TCP{
		Src: addrPort("192.0.2.1:1024"), Dst: nodePort4, Flags: packet.PSH | packet.ACK | packet.ECE | packet.NS,
		Seq: 1 << 31, Ack: 7, Window: 1, Urgent: 2, Payload: []byte("request"),
		Options: []packet.Option{packet.MSS(1460), packet.SACKPermitted(), packet.Timestamps(1, 2), packet.WindowScale(7)},
	}},
	{"tcp with ttl", packet.Layers{packet.IPv4{TTL: 1}, packet.TCP{Dst: web4, Flags: packet.RST}}},
	{"tcp with address in the ip header", packet.Layers{packet.IPv6{Dst: web6.Addr(), HopLimit: 2}, packet.TCP{}}},
	{"tcp without flags", packet.Layers{packet.TCP{Dst: nodePort4}, packet.Zero{"Flags", "Seq"}}},
	{"udp", packet.UDP{Dst: nodePort4, Payload: []byte("query")}},
	{"udp over ipv6", packet.UDP{Dst: nodePort6, Payload: []byte("query")}},
	{"udp without checksum", packet.Layers{packet.UDP{Dst: nodePort4}, packet.Zero{"Checksum"}}},
	{"echo request", packet.Echo{Dst: node4, Payload: []byte("ping")}},
	{"echo request over ipv6", packet.Echo{Dst: node6, Payload: []byte("ping")}},
	{"echo reply", packet.Echo{Dst: node4, Reply: true, ID: 1, Seq: 2}},
	{"echo reply over ipv6", packet.Echo{Dst: node6, Reply: true, ID: 1, Seq: 2}},
	{"arp request", packet.WhoHas(node4)},
	{"arp reply", packet.ARP{Op: packet.ARPReply, TargetIP: node4}},
	{"arp announcement", packet.IsAt(addr("172.31.0.1"), nil)},
	{"neighbour solicitation", packet.WhoHas(node6)},
	{"neighbour advertisement", packet.ICMPv6{
		Dst: node6, Type: packet.ICMPv6NeighbourAdvertisement, Target: addr("fd00:172:31::1"), Solicited: true, Override: true,
	}},
	{"neighbour announcement", packet.IsAt(addr("fd00:172:31::1"), nil)},
	{"port unreachable", packet.ICMP{
		Type: packet.ICMPDestinationUnreachable, Code: packet.ICMPPortUnreachable,
		Embedded: packet.UDP{Src: addrPort("10.0.1.1:999"), Dst: web4},
	}},
	{"fragmentation needed", packet.ICMP{
		Dst: node4, Type: packet.ICMPDestinationUnreachable, Code: packet.ICMPFragmentationNeeded, MTU: 1400,
		Embedded: packet.Layers{packet.IPv4{TTL: 63}, packet.TCP{Dst: web4, Flags: packet.ACK}},
	}},
	{"packet too big", packet.ICMPv6{
		Type: packet.ICMPv6PacketTooBig, MTU: 1400, Embedded: packet.TCP{Src: addrPort("[fd00:10:0:1::1]:999"), Dst: web6},
	}},
	{"time exceeded about an echo", packet.ICMP{Dst: node4, Type: packet.ICMPTimeExceeded, Embedded: packet.Echo{Dst: web4.Addr()}}},
	{"error about nothing", packet.ICMP{Dst: node4, Type: packet.ICMPTimeExceeded}},
	{"error about a scrap", packet.ICMPv6{Dst: node6, Type: packet.ICMPv6TimeExceeded, Embedded: packet.Raw("scrap")}},
	{"vxlan", packet.Layers{packet.IPv4{Dst: node4}, packet.VXLAN{VNI: 5}, packet.TCP{Dst: web4}}},
	{"vxlan over ipv6", packet.Layers{
		packet.UDP{Dst: netip.AddrPortFrom(node6, 4789)}, packet.VXLAN{VNI: 1<<24 - 1},
		packet.Ethernet{Dst: mac("02:03:00:01:00:03")}, packet.UDP{Dst: web4},
	}},
	{"arp in vxlan", packet.Layers{packet.IPv4{Dst: node4}, packet.VXLAN{}, packet.WhoHas(web4.Addr())}},
	{"ipip", packet.Layers{packet.IPv4{Dst: node4}, packet.IPv4{}, packet.TCP{Dst: web4}}},
	{"ipv4 in ipv6", packet.Layers{packet.IPv6{Dst: node6}, packet.IPv4{}, packet.UDP{Dst: web4}}},
	{"ipv6 in ipv4", packet.Layers{packet.IPv4{Dst: node4}, packet.IPv6{}, packet.Echo{Dst: web6.Addr()}}},
	{"ipv4 options", packet.Layers{packet.IPv4{Options: []packet.Option{{Kind: 148, Data: []byte{0, 0}}}}, packet.UDP{Dst: web4}}},
	{"ipv4 first fragment", packet.Layers{packet.IPv4{MF: true, ID: 7}, packet.UDP{Dst: web4, Payload: []byte("12345678")}}},
	{"ipv4 last fragment", packet.Layers{packet.IPv4{Dst: node4, FragOffset: 1480, ID: 7, Protocol: packet.ProtocolUDP}, packet.Raw("rest")}},
	{"ipv6 extensions", packet.Layers{
		packet.IPv6Extension{}, packet.IPv6Extension{Protocol: packet.ProtocolDestination, Data: make([]byte, 14)}, packet.TCP{Dst: web6},
	}},
	{"ipv6 first fragment", packet.Layers{packet.IPv6Fragment{More: true, ID: 7}, packet.UDP{Dst: web6}}},
	{"ipv6 last fragment", packet.Layers{
		packet.IPv6{Dst: node6}, packet.IPv6Fragment{Offset: 1448, ID: 7, NextHeader: packet.ProtocolUDP}, packet.Raw("rest"),
	}},
	{"other ethernet type", packet.Layers{packet.Ethernet{Type: 0x88cc}, packet.Raw("neighbours")}},
	{"other protocol", packet.Layers{packet.IPv4{Dst: node4, Protocol: 132}, packet.Raw{0, 1, 2, 3}}},
	{"ip without anything", packet.IPv6{Dst: node6}},
	{"whole frame", packet.Raw("\x02\x01\x00\x00\x00\x01\x02\x02\x00\x00\x00\x01\x08\x00\x45")},
}

func build(t testing.TB, template packet.Template) *packet.Packet {
	t.Helper()
	p, err := packet.Build(template, defaults)
	require.NoError(t, err)
	return p
}

// frames returns the frames of testdata/linux.txt.
func frames(t testing.TB) (all []struct {
	name string
	data []byte
}) {
	f, err := os.Open("testdata/linux.txt")
	require.NoError(t, err)
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, digits, ok := strings.Cut(lines.Text(), ": ")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		data, err := hex.DecodeString(digits)
		require.NoError(t, err, name)
		all = append(all, struct {
			name string
			data []byte
		}{name, data})
	}
	require.NotEmpty(t, all)
	return all
}

// golden compares got with the file of that name, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "make it with: go test ./harness/packet -update")
	require.Equal(t, string(want), got, "if this is as it should be: go test ./harness/packet -update")
}

func TestPrint(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	for _, c := range interesting {
		p := build(t, c.template)
		fmt.Fprintf(&out, "# %s\n%s\n%s\n", c.name, p, p.Describe())
	}
	golden(t, "packets.golden", out.String())
}

func TestPrintOfPacketsFromLinux(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	for _, f := range frames(t) {
		p, err := packet.Decode(f.data)
		require.NoError(t, err, f.name)
		fmt.Fprintf(&out, "# %s\n%s\n%s\n", f.name, p, p.Describe())
	}
	golden(t, "linux.golden", out.String())
}

func TestAccessors(t *testing.T) {
	t.Parallel()
	p := build(t, packet.Layers{packet.IPv4{Dst: node4}, packet.VXLAN{VNI: 5}, packet.TCP{Dst: web6}})
	ethernet, ok := p.Ethernet()
	require.True(t, ok)
	require.Equal(t, defaults.DstMAC, ethernet.Dst)
	ip, ok := p.IPv4()
	require.True(t, ok)
	require.Equal(t, node4, ip.Dst)
	vxlan, ok := p.VXLAN()
	require.True(t, ok)
	require.Equal(t, packet.VXLAN{VNI: 5}, vxlan)
	tcp, ok := p.TCP()
	require.True(t, ok)
	require.Equal(t, web6, tcp.Dst)
	udp, ok := p.UDP()
	require.True(t, ok)
	require.Equal(t, udp.Src, p.Src(), "the outermost ends")
	require.Equal(t, netip.AddrPortFrom(node4, packet.VXLANPort), p.Dst())
	_, ok = p.ARP()
	require.False(t, ok)
	require.Equal(t, "TCP 80", packet.TCPPort(80).String())
	require.Equal(t, "UDP 53", packet.UDPPort(53).String())
}

func TestQuotedPacketIsNotThePacket(t *testing.T) {
	t.Parallel()
	p := build(t, packet.ICMP{Dst: node4, Type: packet.ICMPTimeExceeded, Embedded: packet.TCP{Dst: web4}})
	_, ok := p.TCP()
	require.False(t, ok)
	icmp, ok := p.ICMP()
	require.True(t, ok)
	quote, ok := icmp.Embedded.(packet.Layers)
	require.True(t, ok)
	require.Len(t, quote, 2)
	require.Equal(t, web4, quote[1].(packet.TCP).Dst)
	require.Equal(t, netip.AddrPortFrom(node4, 0), p.Dst())
}

func TestEndsOfPacketsWithoutPorts(t *testing.T) {
	t.Parallel()
	arp := build(t, packet.WhoHas(node4))
	require.Zero(t, arp.Src())
	require.Zero(t, arp.Dst())
	echo := build(t, packet.Echo{Dst: node6})
	require.Equal(t, netip.AddrPortFrom(node6, 0), echo.Dst())
	behind := build(t, packet.Layers{packet.IPv6Extension{}, packet.TCP{Dst: web6}})
	require.Equal(t, web6, behind.Dst(), "behind an extension header")
}
