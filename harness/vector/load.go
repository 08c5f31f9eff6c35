package vector

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/rlimit"

	"github.com/skbench/skbench/harness/vector/cover"
)

// Configuration is what may be chosen when an object is loaded. The zero value is the object as it stands.
type Configuration struct {
	// Programs to load; nil loads all. Programs that a tail call needs are loaded with them.
	Programs  []string
	Constants map[string]any
	MapSizes  map[string]uint32
	TailCalls map[string]map[uint32]string
	// Rewrite changes the object's programs and maps before they are loaded, after all else.
	Rewrite func(*ebpf.CollectionSpec) error
	// Cover counts which lines of the programs' source run, if it is not nil.
	Cover *cover.Counters
	// LogDir is where the verifier's log goes when it rejects a program; "" is the system's folder for temporary files.
	LogDir string
	// Statistics has the verifier say what each program cost it: see Loaded.Verified.
	Statistics bool
	// Device finds the index of a device that a constant names; nil finds none.
	Device func(name string) (uint32, error)

	restored bool     // its maps are restored time and again
	written  *written // where all this was written, if it was
}

// place is where a name was written within a field of the configuration.
func (c *Configuration) place(field, name string) place {
	if w := c.written.child(field); w != nil {
		for _, f := range w.fields {
			if f.name == name {
				return f.at
			}
		}
	}
	whole := located{c.written}
	return whole.at(field)
}

// Loaded is the programs and maps of an object in the kernel. Close releases them.
type Loaded struct {
	Object   *Object
	Programs map[string]*Program
	Maps     map[string]*ebpf.Map
	Spec     *ebpf.CollectionSpec // as it was loaded
}

// A Program is a program in the kernel.
type Program struct {
	*ebpf.Program
	Name string
	Spec *ebpf.ProgramSpec
}

// Load loads the object's programs and maps. When the verifier rejects a program, the error says why in a sentence and names
// the file that holds the verifier's whole log.
func (o *Object) Load(c Configuration) (*Loaded, error) {
	if err := rlimit.RemoveMemlock(); err != nil { // kernels before 5.11 count maps against it
		return nil, fmt.Errorf("vector: the limit on locked memory: %w: are you root?", err)
	}
	spec := o.Spec.Copy()
	if err := c.apply(spec); err != nil {
		return nil, inFile(o.Path, err)
	}
	if c.restored && features.HaveMapFlag(features.BPF_F_MMAPABLE) == nil {
		mappable(spec)
	}
	collection, err := c.load(o, spec)
	if err != nil {
		return nil, o.rejected(err, c.LogDir)
	}
	loaded := &Loaded{Object: o, Programs: map[string]*Program{}, Maps: collection.Maps, Spec: spec}
	for name, program := range collection.Programs {
		loaded.Programs[name] = &Program{Program: program, Name: name, Spec: spec.Programs[name]}
	}
	return loaded, nil
}

// load loads, with counters in the programs if need be.
func (c *Configuration) load(o *Object, spec *ebpf.CollectionSpec) (*ebpf.Collection, error) {
	plain := func(spec *ebpf.CollectionSpec) (*ebpf.Collection, error) { return load(spec, c.Statistics) }
	if c.Cover == nil {
		return plain(spec)
	}
	c.Cover.Expect(o.Path, o.Spec)
	return c.Cover.Load(o.Path, spec, plain)
}

// load loads with the verifier's statistics if need be, in place of its usual log; of a program that it rejects they say nothing.
func load(spec *ebpf.CollectionSpec, statistics bool) (*ebpf.Collection, error) {
	if statistics {
		options := ebpf.CollectionOptions{Programs: ebpf.ProgramOptions{LogLevel: ebpf.LogLevelStats}}
		if collection, err := ebpf.NewCollectionWithOptions(spec.Copy(), options); err == nil {
			return collection, nil
		}
	}
	return ebpf.NewCollection(spec)
}

// Verified is what the verifier said of the programs, in the order of their names; nil unless the object was loaded with
// Statistics.
func (l *Loaded) Verified() (all []Verified) {
	for _, name := range slices.Sorted(maps.Keys(l.Programs)) {
		if v, ok := verified(l.Object.Path, name, l.Programs[name].VerifierLog); ok {
			all = append(all, v)
		}
	}
	return all
}

// rejected turns the verifier's complaint into one sentence and a file with the whole log.
func (o *Object) rejected(err error, dir string) error {
	var complaint *ebpf.VerifierError
	if !errors.As(err, &complaint) {
		return &InputError{File: o.Path, Text: err.Error(), Err: err}
	}
	if createErr := os.MkdirAll(cmp.Or(dir, os.TempDir()), 0o755); createErr != nil {
		return fmt.Errorf("vector: %w (and no place for the verifier's log: %w)", err, createErr)
	}
	file, createErr := os.CreateTemp(dir, "verifier-*.log")
	if createErr != nil {
		return fmt.Errorf("vector: %w (and no place for the verifier's log: %w)", err, createErr)
	}
	defer file.Close()
	if _, writeErr := fmt.Fprintf(file, "%+v\n", complaint); writeErr != nil {
		return fmt.Errorf("vector: %w (and the verifier's log cannot be written: %w)", err, writeErr)
	}
	text := fmt.Sprintf("the kernel rejects it: %s (whole log: %s)", firstLine(err.Error()), file.Name())
	return &InputError{File: o.Path, Text: text, Err: err}
}

// isGlobal tells the maps that clang makes for global variables.
func isGlobal(name string) bool {
	return strings.HasPrefix(name, ".") || strings.Contains(name, ".rodata")
}

// Close releases programs and maps, one after the other, and programs at a measured pace: see pace.
func (l *Loaded) Close() error {
	var errs []error
	for _, program := range l.Programs {
		errs = append(errs, program.Close())
		closing.step()
	}
	for _, table := range l.Maps {
		errs = append(errs, table.Close())
	}
	return errors.Join(errs...)
}
