package vector

import "fmt"

// An Input is what a program is run on.
type Input struct {
	Packet  []byte // from the Ethernet header on; nil for programs that have no packet
	Meta    []byte // XDP: what stands before the packet
	Context []byte // the context struct of the program's type; nil: the kernel's default
}

// An Outcome is what a program made of an input.
type Outcome struct {
	Code    uint32
	Packet  []byte
	Meta    []byte // XDP, since 5.14
	Context []byte // nil if the input had none
}

// room is how many bytes a program may add to a packet: more than any encapsulation has.
const room = 512

// Run runs the program once, in the network namespace of the calling thread.
func (p *Program) Run(in Input) (Outcome, error) {
	packet := in.Packet
	if len(in.Meta) > 0 {
		packet = append(append(make([]byte, 0, len(in.Meta)+len(in.Packet)), in.Meta...), in.Packet...)
	}
	out := Outcome{}
	if len(packet) > 0 {
		out.Packet = make([]byte, len(packet)+room)
	}
	if in.Context != nil && contextOf(p.Type()) != rawContext {
		out.Context = make([]byte, len(in.Context))
	}
	call := progRun{
		packetIn: uint32(len(packet)), packetInPointer: pointer(packet),
		packetOut: uint32(len(out.Packet)), packetOutPointer: pointer(out.Packet),
		contextIn: uint32(len(in.Context)), contextInPtr: pointer(in.Context),
		contextOut: uint32(len(out.Context)), contextOutPtr: pointer(out.Context),
	}
	if err := call.do(p.Program); err != nil {
		return Outcome{}, fmt.Errorf("vector: running %s: %w", p.Name, err)
	}
	out.Code = call.code
	out.Packet = out.Packet[:min(int(call.packetOut), len(out.Packet))]
	if contextOf(p.Type()) == xdpContext && len(out.Context) > 0 {
		meta := min(int(getUint(out.Context[:4])), len(out.Packet))
		out.Meta, out.Packet = out.Packet[:meta], out.Packet[meta:]
	}
	return out, nil
}
