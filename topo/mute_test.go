package topo_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

func TestMuteDropsWhatCarriesTheCookie(t *testing.T) {
	t.Parallel()
	const passed, dropped = ^uint32(0), 2
	mute := topo.LoadMute(t)
	v4, v6 := netip.AddrPortFrom(topo.NodeIPv4(1), 80), netip.AddrPortFrom(topo.NodeIPv6(1), 80)
	about4 := packet.UDP{Src: v4, Dst: netip.AddrPortFrom(topo.HostIPv4(1), 9)}
	about6 := packet.TCP{Src: v6, Dst: netip.AddrPortFrom(topo.HostIPv6(1), 9)}
	for _, test := range []struct {
		name     string
		template packet.Template
	}{
		{"TCP", packet.TCP{Dst: v4, Flags: packet.SYN}},
		{"TCP with options", packet.TCP{Dst: v4, Options: []packet.Option{packet.MSS(1460), packet.SACKPermitted(), packet.Timestamps(1, 2)}}},
		{"TCP in IPv6", packet.TCP{Dst: v6}},
		{"UDP", packet.UDP{Dst: v4, Payload: []byte("more")}},
		{"UDP in IPv6", packet.UDP{Dst: v6}},
		{"echo request", packet.Echo{Dst: v4.Addr()}},
		{"echo request in IPv6", packet.Echo{Dst: v6.Addr()}},
		{"echo reply", packet.ICMP{Dst: v4.Addr(), Type: packet.ICMPEchoReply}},
		{"IPv4 options", packet.Layers{packet.IPv4{Options: []packet.Option{{Kind: 1}, {Kind: 1}, {Kind: 1}, {Kind: 0}}}, packet.UDP{Dst: v4}}},
		{"first fragment", packet.Layers{packet.IPv4{MF: true}, packet.UDP{Dst: v4}}},
		{"first fragment in IPv6", packet.Layers{packet.IPv6Fragment{More: true, ID: 7}, packet.UDP{Dst: v6}}},
		{"ICMP error about it", packet.ICMP{Dst: topo.HostIPv4(1), Type: packet.ICMPDestinationUnreachable, Embedded: about4}},
		{"ICMPv6 error about it", packet.ICMPv6{Dst: topo.HostIPv6(1), Type: packet.ICMPv6DestinationUnreachable, Embedded: about6}},
	} {
		t.Run(test.name, func(t *testing.T) {
			defaults := packet.Defaults{SrcMAC: topo.Cluster(1).Hosts[0].MAC, DstMAC: topo.Cluster(1).Nodes[0].MAC,
				SrcIPv4: topo.HostIPv4(2), SrcIPv6: topo.HostIPv6(2), Cookie: 1}
			verdict := func() uint32 {
				p, err := packet.Build(test.template, defaults)
				require.NoError(t, err)
				verdict, _, err := mute.Test(p.Data)
				require.NoError(t, err)
				return verdict
			}
			require.EqualValues(t, dropped, verdict())
			defaults.Cookie = 0
			require.EqualValues(t, passed, verdict(), "without a cookie")
		})
	}

	solicitation, err := packet.Build(packet.WhoHas(v6.Addr()), packet.Defaults{SrcMAC: topo.Cluster(1).Hosts[0].MAC, SrcIPv6: topo.HostIPv6(1), Cookie: 1})
	require.NoError(t, err)
	verdict, _, err := mute.Test(solicitation.Data)
	require.NoError(t, err)
	require.EqualValues(t, passed, verdict, "neighbour discovery")
}

// A crafted SYN makes no kernel of a pod or host answer with RST; a node's does. A connection attempt that is not crafted is answered.
func TestMutedMachinesDoNotAnswer(t *testing.T) {
	t.Parallel()
	network := up(t, topo.Cluster(2))
	require.NoError(t, network.Mute())
	for _, family := range families {
		for _, pair := range []struct {
			from, to string
			answers  bool
		}{
			{"client-on-node1", "web-on-node1", false},
			{"client-on-node1", "web-on-node2", false},
			{"node1", "client", false},
			{"client", "node1", true},
		} {
			tape := capture(t, network)
			from, to := machine(t, network, pair.from), machine(t, network, pair.to)
			port := netip.AddrPortFrom(ip(to, family), 80)
			inject(t, from, port.Addr(), packet.TCP{Dst: port, Flags: packet.SYN, Seq: 7}, 1)
			// This one has no cookie, takes the same way, and is answered: after the first is done with.
			inject(t, from, port.Addr(), packet.TCP{Dst: port, Flags: packet.SYN, Seq: 9}, 0)

			resets := map[uint32]bool{}
			require.True(t, tape.await(func() bool {
				for _, f := range tape.seen(t, "") {
					if p, err := packet.Decode(f.Data); err == nil && f.Device.Machine == pair.from && f.Direction == topo.In {
						if tcp, ok := p.TCP(); ok && tcp.Flags == packet.RST|packet.ACK {
							resets[tcp.Ack] = true
						}
					}
				}
				return resets[10]
			}))
			require.Equal(t, pair.answers, len(resets) == 2, "%v %s: %v", pair, family, resets)
			require.Contains(t, places(tape.seen(t, packet.CookieMagic)), pair.to+"/eth0 in", "captures come before the mute")
			require.NoError(t, tape.Close())
		}
	}
}
