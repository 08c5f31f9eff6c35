// Package cover tells which lines and branches of the C source of BPF programs ran. It puts counters into the programs before they are
// loaded, and finds the lines by the line information that clang writes with -g; so it works for any object that has some.
//
//	counters := &cover.Counters{}
//	defer counters.Close()
//	collection, err := counters.Load("xdp.o", spec, ebpf.NewCollection) // in place of ebpf.NewCollection(spec)
//	…                                                                   // run the programs
//	report, err := counters.Report()
//	fmt.Println(report)                                                 // lines 92.1 % (812 of 882), branches …
//
// Every basic block counts how often it ran, in one element of an array that no test sees. A block needs two registers for that: those
// that hold nothing which is read again, or else two that are kept on a part of the stack that the function does not use.
package cover

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// Counters collect what ran, of any number of objects, each loaded any number of times. The zero value is empty; Close releases what
// was made. Methods may be called from any goroutine.
type Counters struct {
	mutex     sync.Mutex
	loads     []*counted
	known     map[string][]block // by object, those of all its programs
	uncovered map[Uncovered]bool
}

// Uncovered is a program that ran without counters, so that none of its lines count as run.
type Uncovered struct {
	Object, Program string
	Why             string // one line
}

// counted is the counters of an object that was loaded.
type counted struct {
	path   string
	values *ebpf.Map // an array of one element: a __u64 for each counter
	blocks []block
}

// Load loads an object with counters in its programs; path says which it is, and where its sources are looked for. A program that the
// verifier rejects with them, most often because it has become too large, is loaded as it is, and reported as Uncovered.
func (c *Counters) Load(path string, spec *ebpf.CollectionSpec, load func(*ebpf.CollectionSpec) (*ebpf.Collection, error)) (*ebpf.Collection, error) {
	without := map[string]bool{}
	for {
		instrumented := spec.Copy()
		if err := c.instrument(path, instrumented, without); err != nil {
			return nil, err
		}
		collection, err := load(instrumented)
		rejected := rejectedProgram(err, spec)
		if rejected == "" || without[rejected] {
			return collection, err
		}
		if collection, err := load(spec.Copy()); err != nil { // as it is, it is rejected too: say what of it, not of the counters
			return collection, err
		} else if err := closeAll(collection); err != nil {
			return nil, err
		}
		without[rejected] = true
		c.report(Uncovered{path, rejected, "the verifier rejects it with counters: " + firstLine(err.Error())})
	}
}

// rejectedProgram is the name of the program that the verifier complains of; "" if it does of none.
func rejectedProgram(err error, spec *ebpf.CollectionSpec) string {
	var complaint *ebpf.VerifierError
	if !errors.As(err, &complaint) {
		return ""
	}
	for name := range spec.Programs {
		if strings.Contains(err.Error(), "program "+name+":") {
			return name
		}
	}
	return ""
}

// closeAll closes one after the other, as freeing many programs at once is more than some kernels can take.
func closeAll(c *ebpf.Collection) (err error) {
	for _, program := range c.Programs {
		err = errors.Join(err, program.Close())
	}
	for _, table := range c.Maps {
		err = errors.Join(err, table.Close())
	}
	return err
}

// Instrument puts counters into all programs of an object that is not loaded yet.
func (c *Counters) Instrument(path string, spec *ebpf.CollectionSpec) error {
	return c.instrument(path, spec, nil)
}

// Expect counts the lines of all programs of an object as such that could run, though some may never be loaded.
func (c *Counters) Expect(path string, spec *ebpf.CollectionSpec) {
	var blocks []block
	for _, name := range slices.Sorted(maps.Keys(spec.Programs)) {
		if p, err := analyse(spec.Programs[name].Instructions); err == nil {
			blocks = append(blocks, p.blocks...)
		}
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.known == nil {
		c.known = map[string][]block{}
	}
	c.known[path] = blocks
}

func (c *Counters) report(u Uncovered) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.uncovered == nil {
		c.uncovered = map[Uncovered]bool{}
	}
	c.uncovered[u] = true
}

func (c *Counters) instrument(path string, spec *ebpf.CollectionSpec, without map[string]bool) (err error) {
	programs := map[string]*program{}
	made := &counted{path: path}
	counters := 0
	for _, name := range slices.Sorted(maps.Keys(spec.Programs)) {
		instructions := spec.Programs[name].Instructions
		if !hasLines(instructions) {
			c.report(Uncovered{path, name, "it has no line information: compile it with -g"})
			continue
		}
		p, err := analyse(instructions)
		if err != nil {
			c.report(Uncovered{path, name, err.Error()})
			continue
		}
		if without[name] {
			continue
		}
		programs[name] = p
		counters = p.number(counters)
		made.blocks = append(made.blocks, p.blocks...)
	}
	if counters == 0 {
		return nil
	}
	made.values, err = ebpf.NewMap(&ebpf.MapSpec{Name: "coverage", Type: ebpf.Array, KeySize: 4, ValueSize: uint32(8 * counters), MaxEntries: 1})
	if err != nil {
		return fmt.Errorf("cover: %s: room for %d counters: %w", path, counters, err)
	}
	for name, p := range programs {
		if spec.Programs[name].Instructions, err = p.withCounters(made.values.FD()); err != nil {
			c.report(Uncovered{path, name, err.Error()})
			spec.Programs[name].Instructions = p.instructions
		}
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.loads = append(c.loads, made)
	return nil
}

func hasLines(instructions asm.Instructions) bool {
	return slices.ContainsFunc(instructions, func(i asm.Instruction) bool { return lineOf(&i) != nil })
}

// read returns the values of the counters.
func (m *counted) read() ([]uint64, error) {
	values := make([]uint64, m.values.ValueSize()/8)
	if err := m.values.Lookup(uint32(0), values); err != nil {
		return nil, fmt.Errorf("cover: reading the counters of %s: %w", m.path, err)
	}
	return values, nil
}

// Close releases the counters. Programs that are still loaded go on with them.
func (c *Counters) Close() (err error) {
	for _, m := range c.loads {
		err = errors.Join(err, m.values.Close())
	}
	c.loads = nil
	return err
}

func (u Uncovered) compare(v Uncovered) int {
	return cmp.Or(strings.Compare(u.Object, v.Object), strings.Compare(u.Program, v.Program), strings.Compare(u.Why, v.Why))
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
