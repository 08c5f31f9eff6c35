package packet_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness/packet"
)

// FuzzDecode reads any bytes, and does with the packet all that can be done.
func FuzzDecode(f *testing.F) {
	for _, c := range interesting {
		f.Add(build(f, c.template).Data)
	}
	for _, frame := range frames(f) {
		f.Add(frame.data)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		p, err := packet.Decode(frame)
		require.NotNil(t, p)
		require.True(t, len(frame) == 0 || len(p.Layers) > 0)
		if err != nil {
			require.Error(t, packet.VerifyChecksums(p))
		}
		require.Equal(t, len(p.Layers) == 0, p.String() == "[Ethernet header: packet is cut short: 0 bytes of at least 14]")
		p.Describe()
		if m := packet.Match(p.Layers, p); m != nil {
			t.Errorf("does not match its own layers: %s", m)
		}
		for _, reply := range []packet.Template{p.Reply(packet.ACK), p.ReplyWith(nil), p.Quote()} {
			if out, err := packet.Build(reply, defaults); err == nil {
				require.NotEmpty(t, out.Data)
			}
		}
	})
}

// FuzzBuildDecode makes a template out of the bytes: what is built of it has to
// match it, with checksums that hold and the cookie found.
func FuzzBuildDecode(f *testing.F) {
	for seed := range byte(32) {
		f.Add(bytes.Repeat([]byte{seed, 37 * seed, 101}, 30), uint64(seed))
	}
	f.Fuzz(func(t *testing.T, choices []byte, cookie uint64) {
		c := chooser{choices}
		template := c.frame()
		d := defaults
		d.Cookie = cookie
		p, err := packet.Build(template, d)
		require.NoError(t, err, "%#v", template)
		if m := packet.Match(template, p); m != nil {
			t.Errorf("%#v: %s", template, m)
		}
		require.NoError(t, packet.VerifyChecksums(p), "%s", p)
		if number, ok := p.Cookie(); ok {
			require.Equal(t, cookie, number)
		}
		q, err := packet.Decode(p.Data)
		require.NoError(t, err)
		require.Equal(t, p.Layers, q.Layers)
	})
}

// chooser makes choices by the bytes that a fuzzer gave it; with none left it
// chooses the first of all there is.
type chooser struct{ b []byte }

func (c *chooser) byte() byte {
	if len(c.b) == 0 {
		return 0
	}
	b := c.b[0]
	c.b = c.b[1:]
	return b
}

func (c *chooser) of(n int) int   { return int(c.byte()) % n }
func (c *chooser) bool() bool     { return c.byte()&1 == 1 }
func (c *chooser) uint16() uint16 { return binary.BigEndian.Uint16([]byte{c.byte(), c.byte()}) }
func (c *chooser) uint32() uint32 { return uint32(c.uint16())<<16 | uint32(c.uint16()) }

func (c *chooser) bytes(most int) []byte {
	n := min(c.of(most+1), len(c.b))
	b := c.b[:n:n]
	c.b = c.b[n:]
	if bytes.Contains(b, []byte(packet.CookieMagic)) {
		return nil // would be taken for a cookie
	}
	return b
}

func (c *chooser) addr(v6 bool) netip.Addr {
	if !v6 {
		return netip.AddrFrom4([4]byte{c.byte(), c.byte(), c.byte(), c.byte()})
	}
	return netip.AddrFrom16([16]byte{0: 0xfd, 7: c.byte(), 14: c.byte(), 15: c.byte()})
}

// end chooses an address and a port, not that of VXLAN.
func (c *chooser) end(v6 bool) netip.AddrPort {
	port := c.uint16()
	if port == packet.VXLANPort || port == 4789 {
		port = 80
	}
	return netip.AddrPortFrom(c.addr(v6), port)
}

// options chooses options that are no mark of a list's end.
func (c *chooser) options() (options []packet.Option) {
	for range c.of(4) {
		options = append(options, packet.Option{Kind: 2 + c.byte()%254, Data: append(c.bytes(6), 1)})
	}
	return options
}

func (c *chooser) frame() packet.Template {
	if c.of(8) == 0 {
		return packet.WhoHas(c.addr(c.bool()))
	}
	v6 := c.bool()
	outer := packet.Layers{c.ip(v6)}
	switch c.of(4) {
	case 0:
		v6 = c.bool()
		outer = append(outer, c.ip(v6))
	case 1:
		outer = append(outer, packet.VXLAN{VNI: c.uint32() >> 8})
		v6 = c.bool()
		outer = append(outer, c.ip(v6))
	}
	if v6 && c.bool() {
		outer = append(outer, packet.IPv6Extension{Data: append([]byte{1, 12}, make([]byte, 12)...)})
	}
	return append(outer, c.transport(v6, true))
}

func (c *chooser) ip(v6 bool) packet.Template {
	if v6 {
		return packet.IPv6{
			Src: c.addr(v6), Dst: c.addr(v6), HopLimit: c.byte(), TrafficClass: c.byte(), FlowLabel: c.uint32() >> 12,
		}
	}
	return packet.IPv4{Src: c.addr(v6), Dst: c.addr(v6), TTL: c.byte(), TOS: c.byte(), ID: c.uint16(), DF: c.bool(), Options: c.options()}
}

func (c *chooser) transport(v6, quotes bool) packet.Template {
	switch c.of(4) {
	case 0:
		return packet.UDP{Src: c.port(), Dst: c.port(), Payload: c.bytes(200)}
	case 1:
		return packet.Echo{Reply: c.bool(), ID: c.uint16(), Seq: c.uint16(), Payload: c.bytes(200)}
	case 2:
		if quotes {
			return c.icmpError(v6)
		}
	}
	return packet.TCP{
		Src: c.port(), Dst: c.port(), Flags: packet.Flags(c.uint16() & 0x1ff), Seq: c.uint32(), Ack: c.uint32(),
		Window: c.uint16(), Urgent: c.uint16(), Options: c.options(), Payload: c.bytes(200),
	}
}

// port chooses a port for the address that the IP header says.
func (c *chooser) port() netip.AddrPort {
	return netip.AddrPortFrom(netip.Addr{}, c.end(false).Port())
}

func (c *chooser) icmpError(v6 bool) packet.Template {
	quote := packet.Layers{c.ip(v6), c.transport(v6, false)}
	if v6 {
		return packet.ICMPv6{Type: packet.ICMPv6PacketTooBig, MTU: c.uint32(), Embedded: quote}
	}
	return packet.ICMP{Type: packet.ICMPDestinationUnreachable, Code: packet.ICMPFragmentationNeeded, MTU: c.uint16(), Embedded: quote}
}
