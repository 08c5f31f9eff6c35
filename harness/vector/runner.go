package vector

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/skbench/skbench/harness/packet"
)

// Options are what a run of suites may choose. The zero value is good.
type Options struct {
	Configuration Configuration // what it holds counts after what the suite says
}

// RunFiles runs the suites of files, one after the other. One that cannot be used never stops the others.
func RunFiles(ctx context.Context, files []string, o Options) []*Result {
	var results []*Result
	for _, file := range files {
		suites, err := ReadFile(file)
		if err != nil {
			results = append(results, &Result{Suite: file, File: file, Err: err})
			continue
		}
		for _, suite := range suites {
			result := suite.Run(ctx, o)
			result.File = file
			results = append(results, result)
		}
	}
	return results
}

// Run runs the suite.
func (s *Suite) Run(ctx context.Context, o Options) *Result {
	start := time.Now()
	result := &Result{Suite: s.Name}
	result.Err = s.run(ctx, o, result)
	result.Duration = time.Since(start)
	return result
}

func (s *Suite) run(ctx context.Context, o Options, result *Result) (err error) {
	if s.Object == "" {
		return s.at("object").errorf("the suite names no object: give it the path of an ELF file")
	}
	object, err := Open(s.path(s.Object))
	if err != nil {
		return err
	}
	loaded, err := object.Load(o.Configuration)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, loaded.Close()) }()
	r := runner{suite: s, loaded: loaded}
	for i := range s.Vectors {
		if err := ctx.Err(); err != nil {
			return err
		}
		v := &s.Vectors[i]
		start := time.Now()
		failure, err := r.vector(v)
		if err != nil {
			return err
		}
		result.Vectors = append(result.Vectors, VectorResult{Name: v.Name, Failure: failure, Duration: time.Since(start)})
	}
	return nil
}

// runner runs the vectors of one suite.
type runner struct {
	suite  *Suite
	loaded *Loaded
}

// vector runs one vector, and says what differs.
func (r *runner) vector(v *Vector) (failure string, err error) {
	steps := v.Steps
	if steps == nil {
		steps = []Step{v.Step}
	}
	for i := range steps {
		failure, err := r.step(&steps[i])
		if err != nil || failure != "" {
			if failure != "" && len(steps) > 1 {
				failure = fmt.Sprintf("step %d: %s", i+1, failure)
			}
			return failure, err
		}
	}
	return "", nil
}

// program finds the program that a step runs.
func (r *runner) program(s *Step) (*Program, error) {
	name, at := r.suite.Program, r.suite.at("program")
	if s.Program != "" {
		name, at = s.Program, s.at("program")
	}
	known := r.loaded.Object.Programs()
	if name == "" && len(known) == 1 {
		name = known[0]
	}
	if name == "" {
		return nil, at.errorf("the suite names no program: %s has %v", r.loaded.Object.Path, known)
	}
	if p := r.loaded.Programs[name]; p != nil {
		return p, nil
	}
	return nil, at.errorf("%s", unknown("program", name, known))
}

func (r *runner) step(s *Step) (failure string, err error) {
	program, err := r.program(s)
	if err != nil {
		return "", err
	}
	input, err := r.input(s, program)
	if err != nil {
		return "", err
	}
	out, err := program.Run(input)
	if err != nil {
		return "", s.at("packet").errorf("%w", err)
	}
	return s.Want.compare(program, input, out)
}

func (r *runner) input(s *Step, program *Program) (in Input, err error) {
	if in.Packet, err = s.Packet.build(); err != nil {
		return in, s.at("packet").errorf("%w", err)
	}
	context := s.Context.over(&r.suite.Context)
	in.Meta = context.Meta
	in.Context, err = context.encode(program.Type(), len(in.Packet), byNumber)
	wanted := len(s.Want.Context.names()) > 0
	if kind := contextOf(program.Type()); err == nil && in.Context == nil && wanted && kind != rawContext {
		in.Context = emptyContext(kind, len(in.Packet)) // without one, none comes out
	}
	return in, err
}

// defaults are the ends of a packet whose suite does not tell.
var defaults = packet.Defaults{
	SrcMAC: []byte{2, 0, 0, 0, 0, 1},
	DstMAC: []byte{2, 0, 0, 0, 0, 2},
}

func (p *Packet) build() ([]byte, error) {
	if p.Layers == nil {
		return p.Bytes, nil
	}
	built, err := packet.Build(p.Layers, defaults)
	if err != nil {
		return nil, err
	}
	return built.Data, nil
}

// compare says what differs from what is wanted; nothing if nothing does.
func (w *Want) compare(program *Program, in Input, out Outcome) (string, error) {
	if w.Verdict != "" {
		code, err := w.Verdict.code(program.Type())
		if err != nil {
			return "", w.at("verdict").errorf("%w", err)
		}
		if code != out.Code {
			return fmt.Sprintf("verdict: want %s, got %s", w.Verdict, verdictName(program.Type(), out.Code)), nil
		}
	}
	if text, err := w.Context.compare(program.Type(), out); err != nil || text != "" {
		return text, err
	}
	got, _ := packet.Decode(out.Packet)
	if w.Packet.Layers != nil {
		if m := packet.Match(w.Packet.Layers, got); m != nil {
			return m.Error(), nil
		}
	}
	if w.Packet.Unchanged && !slices.Equal(in.Packet, out.Packet) {
		return fmt.Sprintf("packet: changed to %s", got), nil
	}
	return "", nil
}
