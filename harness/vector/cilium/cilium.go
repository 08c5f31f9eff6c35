// Package cilium runs objects that hold their own tests, in the form that Cilium's bpf/tests have given it:
//
//	results := cilium.Run(ctx, []string{"bpf/tests"}, vector.Options{}, nil)
//
// A test is up to three programs, in sections named PROGTYPE/test/NAME/pktgen, …/setup and …/check. They run in that order, each on
// the packet and context that the one before left. Before the check runs, the code that setup returned is put in front of the
// packet, in 4 bytes of the machine's order. The check returns what became of the test, and writes sub-tests and log lines into the map
// suite_result_map (see [decode]). What setup calls stands in program arrays, put there by libbpf's initialisers or by the BTF
// declaration tag "tail:MAP/SLOT"; configuration variables are globals named __config_NAME.
//
// The tests of one object run one after the other, by name, and share its maps. Objects share nothing: each has a network namespace and
// maps of its own.
package cilium

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/harness/vector"
)

// Run runs the tests of objects, given by their files or the folders that they are in, as many objects at once as there are CPUs. One
// that cannot be used never stops the others. Each result is given to done, if that is not nil, in the order of the files. It needs
// root.
//
// Constants of the configuration set the variables of those objects that have them; one that no object has is an error of its own.
func Run(ctx context.Context, paths []string, o vector.Options, done func(*vector.Result)) []*vector.Result {
	if done == nil {
		done = func(*vector.Result) {}
	}
	jobs := list(paths)
	run := &run{options: o, used: map[string]bool{}}
	cpus, err := allowedCPUs()
	if err != nil {
		return []*vector.Result{{Suite: "cilium", Err: err}}
	}
	next := make(chan *job)
	var workers sync.WaitGroup
	for _, cpu := range cpus {
		workers.Go(func() {
			for j := range next {
				j.run(ctx, run, cpu)
			}
		})
	}
	go func() {
		defer close(next)
		for _, j := range jobs {
			next <- j
		}
	}()
	var results []*vector.Result
	for _, j := range jobs {
		<-j.done
		results = append(results, j.result)
		done(j.result)
	}
	workers.Wait()
	if r := run.unused(results); r != nil {
		results = append(results, r)
		done(r)
	}
	return results
}

// A job is one object to run.
type job struct {
	path   string
	result *vector.Result
	done   chan struct{} // closed when the result is there
}

// run is what the objects of one Run share.
type run struct {
	options vector.Options

	mu   sync.Mutex
	used map[string]bool // constants that some object has
}

// list finds the objects, each folder's by name. What cannot be listed is a job that has its result already.
func list(paths []string) (jobs []*job) {
	add := func(path string, err error) {
		j := &job{path: path, done: make(chan struct{})}
		if err != nil {
			j.result = &vector.Result{Suite: path, File: path, Err: err}
		}
		jobs = append(jobs, j)
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			text := err.Error()
			if errors.Is(err, fs.ErrNotExist) {
				text = "there is no such folder or object"
			}
			add(path, &vector.InputError{File: path, Text: text, Err: err})
			continue
		}
		if !info.IsDir() {
			add(path, nil)
			continue
		}
		objects, _ := filepath.Glob(filepath.Join(globQuote(path), "*.o"))
		if objects == nil {
			add(path, &vector.InputError{File: path, Text: "there are no objects (*.o) in this folder: compile the tests first"})
		}
		for _, object := range objects {
			add(object, nil)
		}
	}
	return jobs
}

// globQuote has a path mean itself in filepath.Glob.
func globQuote(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// allowedCPUs are the CPUs that this process may use.
func allowedCPUs() (cpus []int, err error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("cilium: which CPUs there are: %w", err)
	}
	for cpu := 0; len(cpus) < set.Count(); cpu++ {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}

// unused is the result that says which constants no object has; nil if all are used.
func (r *run) unused(results []*vector.Result) *vector.Result {
	var names []string
	for name := range r.options.Configuration.Constants {
		if !r.used[name] {
			names = append(names, name)
		}
	}
	if names == nil || len(results) == 0 {
		return nil
	}
	slices.Sort(names)
	return &vector.Result{Suite: "constants", Err: &vector.InputError{Text: "no object has a variable " + strings.Join(names, ", ")}}
}
