package cilium

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/harness/vector"
)

// Names that the convention gives to maps.
const (
	resultMap = "suite_result_map"
	// metaMap stands in for the cb of a __sk_buff; every test finds it zero.
	metaMap = "mock_skb_meta_map"
)

// configPrefix is what the names of configuration variables start with.
const configPrefix = "__config_"

// A test is the programs of one name; setup and pktgen may be missing.
type test struct{ name, pktgen, setup, check string }

var section = regexp.MustCompile(`^[^/]+/test/([^/]+)/(pktgen|setup|check)$`)

// run runs the object, unless the job has its result already.
func (j *job) run(ctx context.Context, r *run, cpu int) {
	defer close(j.done)
	if j.result != nil {
		return
	}
	start := time.Now()
	j.result = &vector.Result{Suite: strings.TrimSuffix(filepath.Base(j.path), ".o"), File: j.path}
	if j.result.Err = ctx.Err(); j.result.Err == nil {
		j.result.Err = r.object(ctx, j.path, cpu, j.result)
	}
	j.result.Duration = time.Since(start)
}

// object runs the tests of an object on one CPU, so that what they count per CPU is found again.
func (r *run) object(ctx context.Context, path string, cpu int, result *vector.Result) (err error) {
	object, err := vector.Open(path)
	if err != nil {
		return err
	}
	tests, err := testsOf(object)
	if err != nil {
		return err
	}
	environment, err := surroundings.Up(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, environment.Close()) }()
	loaded, err := object.Load(r.configuration(object, tests))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, loaded.Close()) }()
	result.Verified = loaded.Verified()

	return environment.Do(func() error {
		var set unix.CPUSet
		set.Set(cpu)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			return fmt.Errorf("cilium: staying on CPU %d: %w", cpu, err)
		}
		running := time.Now()
		defer func() { result.Running = time.Since(running) }()
		for _, t := range tests {
			if err := ctx.Err(); err != nil {
				return err
			}
			results, err := t.run(loaded, &r.options, result.Suite)
			if err != nil {
				return err
			}
			result.Vectors = append(result.Vectors, results...)
		}
		return nil
	})
}

// surroundings are what every object finds around it: a namespace with lo.
var surroundings vector.Network

// testsOf finds the tests of an object, by name.
func testsOf(object *vector.Object) ([]test, error) {
	mistake := func(format string, args ...any) error {
		return &vector.InputError{File: object.Path, Text: fmt.Sprintf(format, args...)}
	}
	found := map[string]*test{}
	for _, program := range object.Programs() {
		match := section.FindStringSubmatch(object.Spec.Programs[program].SectionName)
		if match == nil {
			continue
		}
		name, step := match[1], match[2]
		if found[name] == nil {
			found[name] = &test{name: name}
		}
		t := found[name]
		into := map[string]*string{"pktgen": &t.pktgen, "setup": &t.setup, "check": &t.check}[step]
		if *into != "" {
			return nil, mistake("the test %q has two programs for %s, %s and %s: leave one", name, step, *into, program)
		}
		*into = program
	}
	if len(found) == 0 {
		return nil, mistake("there are no tests in this object: their programs stand in sections PROGTYPE/test/NAME/check")
	}
	if m := object.Spec.Maps[resultMap]; m == nil || m.Type != ebpf.Array || m.KeySize != 4 {
		return nil, mistake("there is no array %s in this object, which its tests report through", resultMap)
	}
	var tests []test
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if found[name].check == "" {
			return nil, mistake("the test %q has no program for check", name)
		}
		tests = append(tests, *found[name])
	}
	return tests, nil
}

// configuration is what the object is loaded with.
func (r *run) configuration(object *vector.Object, tests []test) vector.Configuration {
	c := r.options.Configuration
	c.Programs = nil
	for _, t := range tests {
		c.Programs = append(c.Programs, slices.DeleteFunc([]string{t.pktgen, t.setup, t.check}, func(p string) bool { return p == "" })...)
	}
	c.Statistics = r.options.Verifier
	if c.LogDir == "" {
		c.LogDir = r.options.Artifacts
	}
	c.Constants = map[string]any{}
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, value := range r.options.Configuration.Constants {
		for _, variable := range []string{name, configPrefix + name} {
			if object.Spec.Variables[variable] != nil {
				r.used[name] = true
				c.Constants[variable] = value
			}
		}
	}
	rewrite := c.Rewrite
	c.Rewrite = func(spec *ebpf.CollectionSpec) error {
		dropUnused(spec)
		if rewrite == nil {
			return nil
		}
		return rewrite(spec)
	}
	return c
}

// dropUnused leaves out maps that no program can reach: tests come with all maps of the datapath, and use few.
func dropUnused(spec *ebpf.CollectionSpec) {
	used := map[string]bool{}
	var use func(name string)
	use = func(name string) {
		m := spec.Maps[name]
		if m == nil || used[name] {
			return
		}
		used[name] = true
		for _, kv := range m.Contents {
			if inner, ok := kv.Value.(string); ok && m.Type != ebpf.ProgramArray {
				use(inner)
			}
		}
	}
	use(resultMap)
	for _, variable := range spec.Variables {
		use(variable.SectionName)
	}
	for _, program := range spec.Programs {
		for i := range program.Instructions {
			if ins := &program.Instructions[i]; ins.IsLoadFromMap() {
				use(ins.Reference())
			}
		}
	}
	maps.DeleteFunc(spec.Maps, func(name string, _ *ebpf.MapSpec) bool { return !used[name] })
}
