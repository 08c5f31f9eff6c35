package packet_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness/packet"
)

// answer builds a reply as its sender does: with the next cookie.
func answer(t testing.TB, template packet.Template) *packet.Packet {
	t.Helper()
	d := packet.Defaults{SrcMAC: defaults.DstMAC, DstMAC: defaults.SrcMAC, SrcIPv4: node4, SrcIPv6: node6, Cookie: 18}
	p, err := packet.Build(template, d)
	require.NoError(t, err)
	return p
}

func expect(t testing.TB, want packet.Template, p *packet.Packet) {
	t.Helper()
	if m := packet.Match(want, p); m != nil {
		t.Error(m)
	}
}

func TestHandshake(t *testing.T) {
	t.Parallel()
	for _, dst := range []struct{ name, addr string }{{"ipv4", "10.0.3.1:80"}, {"ipv6", "[fd00:10:0:3::1]:80"}} {
		t.Run(dst.name, func(t *testing.T) {
			t.Parallel()
			syn := build(t, packet.TCP{Dst: addrPort(dst.addr), Flags: packet.SYN, Seq: 100, Payload: []byte("abc")})

			synACK := answer(t, syn.Reply(packet.SYN|packet.ACK))
			expect(t, packet.Layers{
				packet.Ethernet{Src: defaults.DstMAC, Dst: defaults.SrcMAC},
				packet.TCP{Src: syn.Dst(), Dst: syn.Src(), Flags: packet.SYN | packet.ACK, Seq: 1, Ack: 100 + 16 + 3 + 1},
			}, synACK)
			number, _ := synACK.Cookie()
			require.EqualValues(t, 18, number, "a reply has a cookie of its own")

			ack := answer(t, synACK.Reply(packet.ACK))
			expect(t, packet.TCP{Src: syn.Src(), Dst: syn.Dst(), Flags: packet.ACK, Seq: 120, Ack: 1 + 16 + 1}, ack)

			data := answer(t, ack.ReplyWith([]byte("response")))
			expect(t, packet.TCP{Flags: packet.PSH | packet.ACK, Seq: 18, Ack: 120 + 16, Payload: []byte("response")}, data)

			fin := answer(t, data.Reply(packet.FIN|packet.ACK))
			expect(t, packet.TCP{Flags: packet.FIN | packet.ACK, Seq: 136, Ack: 18 + 16 + 8}, fin)
			expect(t, packet.TCP{Ack: 136 + 16 + 1}, answer(t, fin.Reply(packet.ACK)))
		})
	}
}

func TestReplyWithPayload(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		in      packet.Template
		payload []byte
		want    packet.Template
	}{
		{"udp", packet.UDP{Dst: web4, Payload: []byte("query")}, []byte("answer"), packet.UDP{Src: web4, Payload: []byte("answer")}},
		{"udp without payload", packet.UDP{Dst: web6, Payload: []byte("query")}, nil, packet.UDP{Src: web6, Payload: []byte{}}},
		{"echo", packet.Echo{Dst: node4, ID: 7, Seq: 8, Payload: []byte("ping")}, nil, packet.Echo{Src: node4, Reply: true, ID: 7, Seq: 8, Payload: []byte("ping")}},
		{"echo over ipv6", packet.Echo{Dst: node6, ID: 7, Seq: 8, Payload: []byte("ping")}, nil, packet.Echo{Src: node6, Reply: true, ID: 7, Seq: 8, Payload: []byte("ping")}},
		{"echo with another payload", packet.Echo{Dst: node6, Payload: []byte("ping")}, []byte("pong"), packet.Echo{Src: node6, Reply: true, Payload: []byte("pong")}},
		{"inner packet", packet.Layers{packet.IPv4{Dst: node4}, packet.IPv4{}, packet.UDP{Dst: web4}}, nil, packet.UDP{Src: web4}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := build(t, c.in)
			out := answer(t, in.ReplyWith(c.payload))
			expect(t, c.want, out)
			expect(t, packet.Ethernet{Src: defaults.DstMAC, Dst: defaults.SrcMAC}, out)
		})
	}
}

func TestReplyToAGroupHasItsSendersMAC(t *testing.T) {
	t.Parallel()
	in := build(t, packet.UDP{Dst: addrPort("[ff02::1]:53")})
	out := answer(t, packet.Layers{in.ReplyWith(nil)})
	expect(t, packet.Ethernet{Src: defaults.DstMAC, Dst: defaults.SrcMAC}, out)
}

func TestNoSuchReply(t *testing.T) {
	t.Parallel()
	datagram := build(t, packet.UDP{Dst: web4})
	for _, c := range []named{
		{"tcp to udp", datagram.Reply(packet.ACK)},
		{"to arp", build(t, packet.WhoHas(node4)).ReplyWith(nil)},
		{"to an echo reply", build(t, packet.Echo{Dst: node4, Reply: true}).ReplyWith(nil)},
		{"to the segment in a quote", build(t, packet.ICMP{Dst: node4, Type: packet.ICMPTimeExceeded, Embedded: packet.TCP{Dst: web4}}).Reply(packet.RST)},
		{"quote of arp", build(t, packet.WhoHas(node4)).Quote()},
		{"to a packet without layers", (&packet.Packet{}).Reply(packet.ACK)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := packet.Build(c.template, defaults)
			require.ErrorContains(t, err, "packet template: ")
			require.NotNil(t, packet.Match(c.template, datagram))
		})
	}
}

func TestQuote(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		about  packet.Template
		errors func(*packet.Packet) packet.Template
		want   packet.Template
		most   int
	}{
		{
			"ipv4", packet.TCP{Dst: web4, Payload: bytes.Repeat([]byte("z"), 1000)},
			func(p *packet.Packet) packet.Template {
				return packet.ICMP{Dst: p.Src().Addr(), Type: packet.ICMPTimeExceeded, Embedded: p.Quote()}
			},
			packet.ICMP{Embedded: packet.TCP{Dst: web4, Flags: packet.SYN}}, 576,
		},
		{
			"ipv6", packet.TCP{Dst: web6, Payload: bytes.Repeat([]byte("z"), 2000)},
			func(p *packet.Packet) packet.Template {
				return packet.ICMPv6{Dst: p.Src().Addr(), Type: packet.ICMPv6PacketTooBig, MTU: 1280, Embedded: p.Quote()}
			},
			packet.ICMPv6{MTU: 1280, Embedded: packet.TCP{Dst: web6, Flags: packet.SYN}}, 1280,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := build(t, c.about)
			out := answer(t, c.errors(p))
			expect(t, c.want, out)
			require.Len(t, out.Data, 14+c.most)
			number, _ := out.Cookie()
			require.EqualValues(t, 17, number, "that of the packet it is about")
			require.NoError(t, packet.VerifyChecksums(out))
		})
	}
}
