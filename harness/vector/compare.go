package vector

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/skbench/skbench/harness/packet"
)

// compare holds an outcome against what is wanted; nil if all of it is as wanted.
func (p *prepared) compare(out *Outcome) (*Failure, error) {
	var differences []string
	if !p.want.anyCode && p.want.code != out.Code {
		kind := p.program.Type()
		differences = append(differences, fmt.Sprintf("verdict: want %s, got %s", VerdictOf(kind, p.want.code), VerdictOf(kind, out.Code)))
	}
	packetText := p.comparePacket(out)
	if packetText != "" {
		differences = append(differences, packetText)
	}
	if text := p.step.Want.Context.compare(p.want.context, p.program.Type(), out); text != "" {
		differences = append(differences, text)
	}
	for _, f := range p.want.maps {
		text, err := f.compare()
		if err != nil {
			return nil, p.step.Want.at("maps").errorf("%w", err)
		}
		if text != "" {
			differences = append(differences, text)
		}
	}
	if differences == nil {
		return nil, nil
	}
	failure := p.failure(strings.Join(differences, "\n"), out)
	failure.differs = packetText != ""
	return failure, nil
}

// comparePacket says how the packet differs; nothing if it does not.
func (p *prepared) comparePacket(out *Outcome) string {
	want := &p.want.packet
	switch {
	case want.Unchanged:
		return compareBytes(p.in.Packet, nil, out.Packet, true)
	case want.Bytes != nil:
		return compareBytes(want.Bytes, want.Mask, out.Packet, want.Exact)
	case want.Layers != nil:
		if !p.want.layers.Matches(out.Packet) {
			return "packet: not as wanted"
		}
	}
	return ""
}

// compareBytes says where bytes differ first, in the bits of the mask. Unless they have to be exactly those that are wanted, more may
// follow.
func compareBytes(want, mask, got []byte, exact bool) string {
	at := 0
	for at < len(want) && at < len(got) && (want[at] == got[at] || at < len(mask) && want[at]&mask[at] == got[at]&mask[at]) {
		at++
	}
	switch {
	case at == len(want) && (at == len(got) || !exact):
		return ""
	case at == len(want):
		return fmt.Sprintf("packet: want %d bytes, got %d", len(want), len(got))
	case at == len(got):
		return fmt.Sprintf("packet: want %d bytes, got only %d", len(want), len(got))
	}
	return fmt.Sprintf("packet: byte %d is %02x, want %02x", at, got[at], want[at])
}

// failure keeps what a failed run was.
func (p *prepared) failure(text string, out *Outcome) *Failure {
	f := &Failure{Differences: text, Program: p.program.Name, Sent: bytes.Clone(p.in.Packet), Got: bytes.Clone(out.Packet)}
	switch want := &p.want.packet; {
	case want.Unchanged:
		f.Want = f.Sent
	case want.Bytes != nil:
		f.Want = bytes.Clone(want.Bytes)
		for i := range min(len(want.Mask), len(f.Want), len(f.Got)) { // what does not count is as it should be
			f.Want[i] = want.Bytes[i]&want.Mask[i] | f.Got[i]&^want.Mask[i]
		}
		if !want.Exact && len(f.Want) < len(f.Got) {
			f.Want = append(f.Want, f.Got[len(f.Want):]...)
		}
	case want.Layers != nil:
		f.template = want.Layers
		if whole, err := packet.Build(want.Layers, p.defaults); err == nil {
			f.Want = whole.Data
		}
	}
	return f
}
