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
	Meta    []byte // XDP, since 5.14, if the input had a context
	Context []byte // nil if the input had none
}

// room is how many bytes a program may add to a packet: more than any encapsulation has.
const room = 512

// Run runs the program once, in the network namespace of the calling thread.
func (p *Program) Run(in Input) (Outcome, error) {
	var b buffers
	err := b.run(p, &in)
	return b.Outcome, err
}

// buffers are what programs are run with, time and again.
type buffers struct {
	Outcome             // of the last run
	in, packet, context []byte
}

// run runs a program once.
func (b *buffers) run(p *Program, in *Input) error {
	frame := in.Packet
	if len(in.Meta) > 0 {
		b.in = append(append(b.in[:0], in.Meta...), in.Packet...)
		frame = b.in
	}
	kind := contextOf(p.Type())
	call := progRun{
		packetIn: uint32(len(frame)), packetInPointer: pointer(frame),
		contextIn: uint32(len(in.Context)), contextInPtr: pointer(in.Context),
	}
	b.Outcome = Outcome{}
	if len(frame) > 0 {
		b.Packet = atLeast(&b.packet, len(frame)+room)
		call.packetOut, call.packetOutPointer = uint32(len(b.Packet)), pointer(b.Packet)
	}
	if len(in.Context) > 0 && kind != rawContext {
		b.Context = atLeast(&b.context, len(in.Context))
		call.contextOut, call.contextOutPtr = uint32(len(b.Context)), pointer(b.Context)
	}
	if err := call.do(p.Program); err != nil {
		return fmt.Errorf("running %s: %w", p.Name, err)
	}
	b.Code = call.code
	b.Packet = b.Packet[:min(int(call.packetOut), len(b.Packet))]
	if kind == xdpContext && len(b.Context) > 0 {
		meta := min(int(getUint(b.Context[:4])), len(b.Packet))
		b.Meta, b.Packet = b.Packet[:meta], b.Packet[meta:]
	}
	return nil
}

// atLeast returns a buffer of so many bytes, the one that is there if it is long enough.
func atLeast(buffer *[]byte, size int) []byte {
	if cap(*buffer) < size {
		*buffer = make([]byte, size)
	}
	return (*buffer)[:size]
}
