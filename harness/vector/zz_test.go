package vector_test

import (
	"testing"

	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/harness/vector"
)

func BenchmarkBare(b *testing.B) {
	l := load(b, "mirror", vector.Configuration{})
	in := vector.Input{Packet: frame(b, 80, 100)}
	for b.Loop() {
		l.Programs["mirror"].Run(in)
	}
}
func BenchmarkBareTC(b *testing.B) {
	l := load(b, "mirror", vector.Configuration{})
	in := vector.Input{Packet: frame(b, 80, 100), Context: make([]byte, 192)}
	for b.Loop() {
		l.Programs["paint"].Run(in)
	}
}
func BenchmarkDecode(b *testing.B) {
	in := frame(b, 80, 100)
	for b.Loop() {
		packet.Decode(in)
	}
}
func BenchmarkMatch(b *testing.B) {
	p, _ := packet.Decode(frame(b, 80, 100))
	for b.Loop() {
		packet.Match(packet.Layers{packet.IPv4{TTL: 64}, packet.UDP{}}, p)
	}
}
