package vector

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Options are what a run of suites may choose. The zero value is good.
type Options struct {
	// Configuration is what objects are loaded with, after what the suite says.
	Configuration Configuration
	// Artifacts is the folder for captures of what failed and logs of the verifier; "" is a folder in the system's one for temporary
	// files.
	Artifacts string
	// Verifier asks for what the verifier says of the programs that are loaded: Result.Verified.
	Verifier bool
	// Live sends the vectors that passed over the devices that the suite attaches its programs to, too, and holds what becomes of
	// them against what BPF_PROG_RUN said.
	Live bool
	// Time measures the vectors that passed, if it is not nil: VectorResult.Timing.
	Time *Measurement
}

// RunFiles runs the suites of files, one after the other. One that cannot be used never stops the others. Each result is given
// to done, if that is not nil, as soon as it is there.
func RunFiles(ctx context.Context, files []string, o Options, done func(*Result)) []*Result {
	var results []*Result
	add := func(r *Result, file string) {
		r.File = file
		results = append(results, r)
		if done != nil {
			done(r)
		}
	}
	for _, file := range files {
		suites, err := ReadFile(file)
		if err != nil {
			add(&Result{Suite: file, Err: err}, file)
		}
		for _, suite := range suites {
			add(suite.Run(ctx, o), file)
			if ctx.Err() != nil {
				return results
			}
		}
	}
	return results
}

// Run runs the suite. It needs root.
func (s *Suite) Run(ctx context.Context, o Options) *Result {
	start := time.Now()
	result := &Result{Suite: s.Name}
	result.Err = s.run(ctx, o, result)
	result.Duration = time.Since(start)
	return result
}

// run makes the environment and everything in it, and lets a thread of it run the vectors.
func (s *Suite) run(ctx context.Context, o Options, result *Result) (err error) {
	object, err := s.open()
	if err != nil {
		return err
	}
	programs, err := s.programs(object)
	if err != nil {
		return err
	}
	environment, err := s.Network.up(ctx, o.Live)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, environment.Close()) }()
	loaded, err := s.load(object, s.configuration(o, environment, programs))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, loaded.Close()) }()

	return environment.Do(func() error {
		cpu, err := stay()
		if err != nil {
			return err
		}
		r := &runner{suite: s, options: o, environment: environment, loaded: loaded, programs: programs, captures: &captures{}, timers: timers{}}
		defer r.captures.close()
		result.Verified = loaded.Verified()
		if r.tables, err = newTables(loaded, newEncoder(loaded.Spec, environment.Index), cpu); err != nil {
			return err
		}
		if prints(loaded.Spec.Programs) {
			r.printed = collectPrinted()
		}
		return errors.Join(r.run(ctx, result), r.timers.close(), r.printed.close(), r.tables.close())
	})
}

// open reads the suite's object.
func (s *Suite) open() (*Object, error) {
	if s.Object == "" {
		return nil, s.at("object").errorf("the suite names no object: give it the path of an ELF file")
	}
	object, err := Open(s.path(s.Object))
	if err != nil {
		return nil, s.at("object").errorf("%w", err)
	}
	return object, nil
}

// load loads the object. What is wrong with it is told with the place where the suite names it.
func (s *Suite) load(object *Object, c Configuration) (*Loaded, error) {
	loaded, err := object.Load(c)
	var input *InputError
	if errors.As(err, &input) && input.File == object.Path {
		return nil, s.at("object").errorf("%w", err)
	}
	return loaded, err
}

// stay keeps the calling thread on the CPU that it is on, so that what a program counts per CPU is found there.
func stay() (cpu int, err error) {
	runtime.LockOSThread() // never unlocked: the thread is the environment's, and ends with it
	var now uint32
	if _, _, errno := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&now)), 0, 0); errno != 0 {
		return 0, fmt.Errorf("vector: which CPU this is: %w", errno)
	}
	cpu = int(now)
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return 0, fmt.Errorf("vector: staying on CPU %d: %w", cpu, err)
	}
	return cpu, nil
}

// settings are what the suite's object is loaded with, wherever it runs.
func (s *Suite) settings(o Options) Configuration {
	c := o.Configuration
	c.written = s.written
	c.Statistics = o.Verifier
	c.Constants = merge(s.Constants, c.Constants)
	c.MapSizes = merge(s.MapSizes, c.MapSizes)
	c.TailCalls = merge(s.TailCalls, c.TailCalls)
	if c.LogDir == "" {
		c.LogDir = o.Artifacts
	}
	return c
}

// configuration is what the suite's object is loaded with for its vectors.
func (s *Suite) configuration(o Options, e *Environment, programs map[*Step]string) Configuration {
	c := s.settings(o)
	c.Device, c.restored = e.Index, !s.KeepState
	if o.Live {
		for _, a := range s.Attach {
			c.Programs = append(c.Programs, a.Program)
		}
	}
	if o.Configuration.Programs == nil && len(programs) > 0 { // without vectors, all are loaded
		for _, name := range programs {
			c.Programs = append(c.Programs, name)
		}
		slices.Sort(c.Programs)
		c.Programs = slices.Compact(c.Programs)
	}
	return c
}

// merge has the entries of both; those of the second win.
func merge[V any](a, b map[string]V) map[string]V {
	out := map[string]V{}
	for _, m := range []map[string]V{a, b} {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}

// steps are those of the vector: itself, if it has no sequence.
func (v *Vector) steps() ([]*Step, error) {
	if v.Steps == nil {
		return []*Step{&v.Step}, nil
	}
	if !v.Packet.isZero() || v.Foreach != nil || v.Want.written != nil || v.Repeat != 0 {
		return nil, v.at("steps").errorf("a vector has steps, or a packet and what is wanted of it itself: not both")
	}
	var steps []*Step
	for i := range v.Steps {
		steps = append(steps, &v.Steps[i])
	}
	return steps, nil
}

// programs finds the program that each step runs.
func (s *Suite) programs(object *Object) (map[*Step]string, error) {
	all := map[*Step]string{}
	for i := range s.Vectors {
		v := &s.Vectors[i]
		steps, err := v.steps()
		if err != nil {
			return nil, err
		}
		for _, step := range steps {
			if all[step], err = s.program(object, v, step); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

func (s *Suite) program(object *Object, v *Vector, step *Step) (string, error) {
	name, at := s.Program, s.at("program")
	switch {
	case step.Program != "":
		name, at = step.Program, step.at("program")
	case v.Program != "":
		name, at = v.Program, v.at("program")
	}
	known := object.Programs()
	if name == "" && len(known) == 1 {
		name = known[0]
	}
	if name == "" {
		return "", at.errorf("no program is named: %s has %v", object.Path, known)
	}
	if !slices.Contains(known, name) {
		return "", at.errorf("%s", unknown("program", name, known))
	}
	return name, nil
}

// runner runs the vectors of one suite, on a thread of its environment.
type runner struct {
	suite       *Suite
	options     Options
	environment *Environment
	loaded      *Loaded
	programs    map[*Step]string
	tables      *tables
	captures    *captures
	printed     *printed // nil if nothing is
	timers      timers
	buffers     buffers
	act         func(p *prepared) (*Failure, error) // what a run of a step is; nil: once
}

// run prepares all vectors, so that mistakes are told before anything runs, and then runs them.
func (r *runner) run(ctx context.Context, result *Result) error {
	fillings, err := r.tables.encode(r.suite.Maps)
	if err != nil {
		return err
	}
	prepared := make([][]prepared, len(r.suite.Vectors))
	for i := range r.suite.Vectors {
		if prepared[i], err = r.prepareVector(&r.suite.Vectors[i]); err != nil {
			return err
		}
	}
	r.tables.canChange(r.loaded, filled(prepared))
	if err := r.tables.start(fillings); err != nil {
		return r.suite.at("maps").errorf("%w", err)
	}
	result.Vectors = make([]VectorResult, 0, len(prepared))
	running := time.Now()
	defer func() { result.Running = time.Since(running) }()
	for i := range prepared {
		if err := ctx.Err(); err != nil {
			return err
		}
		if i > 0 {
			if err := r.begin(i); err != nil {
				return err
			}
		}
		v := &r.suite.Vectors[i]
		r.printed.lines() // those of the vector before are of no use
		start := time.Now()
		failure, err := r.vector(prepared[i])
		if err == nil && failure != nil {
			err = r.keep(v.name(i), failure)
		}
		if err != nil {
			return err
		}
		done := VectorResult{Name: v.name(i), Failure: failure, Duration: time.Since(start)}
		if r.options.Time != nil && failure == nil {
			if done.Timing, err = r.time(prepared[i]); err != nil {
				return err
			}
		}
		result.Vectors = append(result.Vectors, done)
	}
	if r.options.Live {
		return r.live(ctx, prepared, result)
	}
	return nil
}

// begin makes the maps what the i-th vector starts from.
func (r *runner) begin(i int) error {
	if i > 0 && (r.suite.KeepState || r.suite.Vectors[i].follows(&r.suite.Vectors[i-1])) {
		return nil
	}
	return r.tables.restore()
}

// follows tells whether the vector finds what another, right before it, left.
func (v *Vector) follows(before *Vector) bool { return v.Group != "" && v.Group == before.Group }

// keep saves what else is known about a failure.
func (r *runner) keep(vector string, f *Failure) error {
	f.Printed = r.printed.lines()
	return r.options.Keep(r.suite.Name, vector, f)
}

// filled are the maps that vectors fill.
func filled(vectors [][]prepared) map[string]bool {
	names := map[string]bool{}
	for _, steps := range vectors {
		for _, step := range steps {
			for _, f := range step.maps {
				names[f.name] = true
			}
		}
	}
	return names
}

// vector runs the steps of a vector, up to the first that fails.
func (r *runner) vector(steps []prepared) (*Failure, error) {
	for i := range steps {
		failure, err := r.step(&steps[i])
		if err != nil {
			return nil, err
		}
		if failure != nil {
			if len(steps) > 1 {
				failure.Step = i + 1
			}
			return failure, nil
		}
	}
	return nil, nil
}

// step runs one step as often as it says, up to the first run that fails.
func (r *runner) step(p *prepared) (*Failure, error) {
	for _, f := range p.maps {
		if err := f.put(); err != nil {
			return nil, p.step.at("maps").errorf("%w", err)
		}
	}
	if p.step.Foreach != nil {
		return r.foreach(p)
	}
	for run := range p.repeat {
		failure, err := r.once(p)
		if failure != nil && p.repeat > 1 {
			failure.Run = run + 1
		}
		if failure != nil || err != nil {
			return failure, err
		}
	}
	return nil, nil
}

// once runs the program once and compares.
func (r *runner) once(p *prepared) (*Failure, error) {
	if r.act != nil {
		return r.act(p)
	}
	if err := r.buffers.run(p.program, &p.in); err != nil {
		return nil, p.step.at("packet").errorf("%w", err)
	}
	return p.compare(&r.buffers.Outcome)
}
