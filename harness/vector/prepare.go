package vector

import (
	"math"

	"github.com/skbench/skbench/harness/packet"
)

// prepared is a step ready to be run, everything in it encoded.
type prepared struct {
	step    *Step
	program *Program
	maps    []*filling
	in      Input
	repeat  int
	want    wanted
	context Context

	defaults packet.Defaults // of its packets
}

// wanted is what is expected of a step, encoded.
type wanted struct {
	code    uint32
	anyCode bool
	packet  Packet // its frame and layers built into Bytes, where exact
	layers  *packet.Matcher
	context []string // the fields of it that are expected
	maps    []*filling
}

func (r *runner) prepareVector(v *Vector) ([]prepared, error) {
	steps, err := v.steps()
	if err != nil {
		return nil, err
	}
	out := make([]prepared, len(steps))
	for i, step := range steps {
		if out[i], err = r.prepare(v, step); err != nil {
			return nil, err
		}
	}
	if v.Steps != nil { // what the vector itself says counts for its first step
		before, err := r.tables.encode(v.Maps)
		if err != nil {
			return nil, err
		}
		out[0].maps = append(before, out[0].maps...)
	}
	return out, nil
}

func (r *runner) prepare(v *Vector, step *Step) (p prepared, err error) {
	p = prepared{step: step, program: r.loaded.Programs[r.programs[step]], repeat: max(step.Repeat, 1)}
	if step.Repeat < 0 || step.Repeat > math.MaxInt32 {
		return p, step.at("repeat").errorf("a program cannot be run %d times", step.Repeat)
	}
	if p.maps, err = r.tables.encode(step.Maps); err != nil {
		return p, err
	}
	p.context = step.Context.over(&v.Context)
	p.context = p.context.over(&r.suite.Context)
	p.defaults = r.defaults(&p.context)
	if step.Foreach != nil {
		if !step.Packet.isZero() {
			return p, step.at("foreach").errorf("a step has a packet or foreach, not both")
		}
	} else if p.in.Packet, err = r.build(&step.Packet, p.defaults); err != nil {
		return p, step.at("packet").errorf("%w", err)
	}
	if err := r.prepareContext(&p); err != nil {
		return p, err
	}
	return p, r.prepareWant(&p)
}

// prepareContext encodes the context for the packet. Where one is expected, one has to be given.
func (r *runner) prepareContext(p *prepared) (err error) {
	kind := p.program.Type()
	p.in.Meta = p.context.Meta
	p.in.Context, err = p.context.Encode(kind, len(p.in.Packet), r.environment.Index)
	if err == nil && p.in.Context == nil && len(p.step.Want.Context.names()) > 0 && contextOf(kind) != rawContext {
		p.in.Context = emptyContext(contextOf(kind), len(p.in.Packet))
	}
	return err
}

func (r *runner) prepareWant(p *prepared) (err error) {
	want := &p.step.Want
	p.want.anyCode = want.Verdict == ""
	if !p.want.anyCode {
		if p.want.code, err = want.Verdict.Code(p.program.Type()); err != nil {
			return want.at("verdict").errorf("%w", err)
		}
	}
	if err := want.Context.check(p.program.Type()); err != nil {
		return err
	}
	p.want.context = want.Context.names()
	p.want.packet = want.Packet
	if want.Packet.Layers != nil {
		p.want.layers = packet.Compile(want.Packet.Layers)
	}
	if want.Packet.Frame != nil || want.Packet.Exact && want.Packet.Layers != nil {
		if p.want.packet.Bytes, err = r.build(&want.Packet, p.defaults); err != nil {
			return want.at("packet").errorf("%w", err)
		}
		p.want.packet.Exact = true
	}
	p.want.maps, err = r.tables.encode(want.Maps)
	return err
}

// defaults are the ends of packets that do not say them: the device that they come in by, and a machine on its link.
func (r *runner) defaults(c *Context) packet.Defaults {
	d := packet.Defaults{SrcMAC: []byte{2, 0, 0, 0, 0, 1}, DstMAC: []byte{2, 0, 0, 0, 0, 2}}
	if c.Ingress != "" {
		if index, err := r.environment.Index(c.Ingress); err == nil && r.environment.mac(index) != nil {
			d.DstMAC = r.environment.mac(index)
		}
	}
	return d
}

// build makes the frame that a packet says.
func (r *runner) build(p *Packet, d packet.Defaults) ([]byte, error) {
	switch {
	case p.Layers != nil:
		built, err := packet.Build(p.Layers, d)
		if err != nil {
			return nil, err
		}
		return built.Data, nil
	case p.Frame != nil:
		return r.captures.frame(r.suite.path(p.Frame.File), max(p.Frame.Number, 1))
	}
	return p.Bytes, nil
}
