package packet_test

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness/packet"
)

// FuzzCompile names some fields of a packet, changes some bytes of it, and holds the compiled template against Match.
func FuzzCompile(f *testing.F) {
	for _, c := range interesting {
		f.Add(build(f, c.template).Data, []byte{255, 1, 3, 7}, uint16(0), byte(0))
		f.Add(build(f, c.template).Data, []byte{0x55, 0xaa}, uint16(20), byte(1))
	}
	f.Fuzz(func(t *testing.T, frame, choices []byte, at uint16, change byte) {
		p, _ := packet.Decode(frame)
		c := chooser{choices}
		template := someFields(p.Layers, &c)
		if int(at) < len(frame) {
			frame[at] ^= change
		}
		got, _ := packet.Decode(frame)
		m := packet.Match(template, got)
		require.Equal(t, m == nil, packet.Compile(template).Matches(frame), "%s\n%s", template, m)
	})
}

// someFields are layers with some of their fields left open.
func someFields(layers packet.Layers, c *chooser) packet.Layers {
	out := packet.Layers{}
	for _, l := range layers {
		if reflect.TypeOf(l).Kind() != reflect.Struct {
			break
		}
		if len(out) > 0 && c.of(16) == 1 {
			break
		}
		layer := reflect.New(reflect.TypeOf(l)).Elem()
		layer.Set(reflect.ValueOf(l))
		for i := range layer.NumField() {
			if c.of(2) == 0 {
				layer.Field(i).SetZero()
			}
		}
		out = append(out, layer.Interface().(packet.Template))
	}
	return out
}

// What is most often wanted of packets is told without decoding: nothing is allocated.
func TestCompiledTemplatesAreQuick(t *testing.T) {
	for _, test := range []struct {
		want, sent packet.Template
		port       int // where the destination port ends
	}{
		{
			packet.Layers{packet.Ethernet{Src: mac("02:00:00:00:00:09")}, packet.IPv4{TTL: 64}, packet.TCP{Dst: addrPort("10.0.0.1:80"), Flags: packet.SYN}},
			packet.Layers{packet.Ethernet{Src: mac("02:00:00:00:00:09")}, packet.TCP{Src: addrPort("10.0.0.7:1"), Dst: addrPort("10.0.0.1:80")}}, 14 + 20 + 3,
		},
		{packet.UDP{Dst: addrPort("[fd00::1]:53")}, packet.UDP{Src: addrPort("[fd00::2]:1"), Dst: addrPort("[fd00::1]:53")}, 14 + 40 + 3},
	} {
		m, frame := packet.Compile(test.want), build(t, test.sent).Data
		require.True(t, m.Matches(frame))
		require.Zero(t, testing.AllocsPerRun(10, func() { m.Matches(frame) }), "%s", test.want)
		frame[test.port]++
		require.False(t, m.Matches(frame))
	}
}
