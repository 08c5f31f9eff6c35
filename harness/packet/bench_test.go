package packet_test

import (
	"testing"

	"github.com/skbench/skbench/harness/packet"
)

var benchmarked = []named{
	{"tcp", packet.TCP{Dst: web4, Flags: packet.SYN}},
	{"tcp6", packet.TCP{Dst: web6, Flags: packet.SYN}},
	{"vxlan", packet.Layers{packet.IPv4{Dst: node4}, packet.VXLAN{VNI: 5}, packet.TCP{Dst: web4}}},
}

func BenchmarkBuild(b *testing.B) {
	for _, c := range benchmarked {
		b.Run("packet="+c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := packet.Build(c.template, defaults); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, c := range benchmarked {
		frame := build(b, c.template).Data
		b.Run("packet="+c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := packet.Decode(frame); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMatch(b *testing.B) {
	for _, c := range benchmarked {
		p := build(b, c.template)
		b.Run("packet="+c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if m := packet.Match(c.template, p); m != nil {
					b.Fatal(m)
				}
			}
		})
	}
}

func BenchmarkVerifyChecksums(b *testing.B) {
	p := build(b, packet.TCP{Dst: web4, Payload: make([]byte, 1400)})
	b.SetBytes(int64(len(p.Data)))
	for b.Loop() {
		if err := packet.VerifyChecksums(p); err != nil {
			b.Fatal(err)
		}
	}
}
