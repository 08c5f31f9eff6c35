package matrix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/skbench/skbench/ci/matrix/job"
	"github.com/skbench/skbench/ci/matrix/vm"
)

// Options are what a run may choose. Tree, List and Out are needed.
type Options struct {
	Tree    string   // the module's root, from which suites and the guest's programs are built
	List    string   // of kernels
	Kernels []string // names of the list, folders, "host"; none: all of the list
	Run     string   // pattern of tests, as go test -run takes it
	Quick   bool     // one scenario of each kind
	Suites  []string // folders with Go tests; none: those of the datapath
	Objects []string // ELF objects whose programs are loaded
	Shard   Shard
	// Parallel is how many guests run side by side; 0: as many as there are processors.
	Parallel int
	// MemoryMiB is a guest's memory; 0: 1024.
	MemoryMiB int
	// Silence is how long a guest may tell nothing, in its own processor time, before it counts as hanging; 0: 90 s.
	Silence time.Duration
	// Out is the folder of matrix.json, which files are put below.
	Out string
	// Progress is told what is going on, from any goroutine; may be nil.
	Progress func(string)

	withoutVirtio bool // guests tell by the serial port
	testsOfAGuest int  // 0: the usual
}

// Shard is one part of a matrix: every Of-th kernel. The zero value is all of it.
type Shard struct{ Number, Of int }

// ParseShard reads "2/5", the second of five parts.
func ParseShard(text string) (Shard, error) {
	if text == "" {
		return Shard{}, nil
	}
	number, of, _ := strings.Cut(text, "/")
	s := Shard{}
	var err1, err2 error
	s.Number, err1 = strconv.Atoi(number)
	s.Of, err2 = strconv.Atoi(of)
	if errors.Join(err1, err2) != nil || s.Number < 1 || s.Of < s.Number {
		return Shard{}, fmt.Errorf("shard %q: write i/n with 1 <= i <= n, such as 2/5", text)
	}
	return s, nil
}

func (s Shard) String() string {
	if s.Of == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.Number, s.Of)
}

// has tells whether the i-th kernel, from 0 on, belongs to the shard.
func (s Shard) has(i int) bool { return s.Of == 0 || i%s.Of == s.Number-1 }

// plan is everything built that runs on the kernels.
type plan struct {
	guest, probe, test2json string // programs
	suites                  []suite
	objects                 []string
	ours                    bool   // skbench's own programs are tried
	run                     string // pattern of tests
	shared                  string // archive of the guests' common files
	accelerator             vm.Accelerator
	testsOfAGuest           int // 0: the usual
}

// makePlan builds what the options ask for into a folder. What cannot be built or is not there is left out, and told in the problems.
func makePlan(ctx context.Context, o Options, into string) (*plan, []error, error) {
	if _, err := regexp.Compile(o.Run); err != nil {
		return nil, nil, fmt.Errorf("--run: %w", err)
	}
	b := builder{tree: o.Tree, into: into}
	p := &plan{run: o.Run, testsOfAGuest: o.testsOfAGuest}
	var err error
	for pack, binary := range map[string]*string{"./ci/matrix/guest": &p.guest, "./ci/matrix/probe": &p.probe, "cmd/test2json": &p.test2json} {
		if *binary, err = b.command(ctx, pack); err != nil {
			return nil, nil, fmt.Errorf("%w: run this in skbench's source tree", err)
		}
	}
	var problems []error
	suites := o.Suites
	if len(suites) == 0 && len(o.Objects) == 0 {
		suites, p.ours = standard, true
	}
	for _, folder := range suites {
		s, err := b.suite(ctx, folder)
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if o.Quick && folder == "scenarios" {
			s.only = quickPattern(quick)
		}
		if o.Run != "" {
			s.only = o.Run
		}
		p.suites = append(p.suites, s)
	}
	for _, object := range o.Objects {
		path, err := filepath.Abs(object)
		if err == nil {
			_, err = os.Stat(path)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("object %s: %w: name an ELF file that clang -target bpf made", object, err))
			continue
		}
		if slices.ContainsFunc(p.objects, func(other string) bool { return filepath.Base(other) == filepath.Base(path) }) {
			problems = append(problems, fmt.Errorf("object %s: another of that name is there already: give it another name", object))
			continue
		}
		p.objects = append(p.objects, path)
	}
	return p, problems, nil
}

// asksFeatures tells whether the tests of package feature run, which tell what they find.
func (p *plan) asksFeatures() bool {
	return slices.ContainsFunc(p.suites, func(s suite) bool { return s.name == featureSuite && s.only == "" })
}

// patience is how long a step may take by the guest's clock. Tests that hang are found sooner, by their silence.
const patience = time.Hour

// job is what is still to be done of the collector's part: all steps but those that ended, and of the one that was cut short the tests that have no
// cell yet.
func (p *plan) job(at places, c *collector, slowdown int) job.Job {
	var left job.Job
	add := func(s job.Step) {
		if c.ended[s.Name] || c.cells[cellName{s.Name, wholeSuite}] != nil {
			return
		}
		s.Limit = patience
		s.Env = []string{fmt.Sprintf("SKBENCH_SLOWDOWN=%d", slowdown)}
		left.Steps = append(left.Steps, s)
	}
	probe := func(args ...string) []string { return slices.Concat(at.plainly, []string{at.program(p.probe)}, args) }
	for _, s := range p.suites {
		others, has := p.others(s, c.part)
		if !has {
			continue
		}
		if s.binary == "" {
			add(job.Step{Name: s.name, Command: probe(append([]string{"vectors", s.name}, s.vectors...)...), Dir: at.suite(s)})
			continue
		}
		command := slices.Concat([]string{at.program(p.test2json), "-t", "-p", s.pack}, at.plainly,
			[]string{at.binary(s), "-test.v=test2json", "-test.parallel=1", "-test.timeout=0", "-test.paniconexit0"})
		if s.only != "" {
			command = append(command, "-test.run="+s.only)
		}
		if skip := c.skip(s.name, others); skip != "" {
			command = append(command, "-test.skip="+skip)
		}
		add(job.Step{Name: s.name, Command: command, Dir: at.suite(s)})
	}
	if c.part.Number > 0 {
		return left // The first has what is not spread.
	}
	if !p.asksFeatures() {
		add(job.Step{Name: "features", Command: probe("features")})
	}
	if p.ours {
		add(job.Step{Name: "object skbench", Command: probe("datapath")})
	}
	for _, object := range p.objects {
		add(job.Step{Name: "object " + filepath.Base(object), Command: probe("programs", at.object(object))})
	}
	return left
}

// skip matches a suite's tests that are not to run, or not again: those of other guests, those that ended with all their parts, and those that took
// the guest down.
func (c *collector) skip(suite string, others []string) string {
	var patterns []string
	for _, test := range others {
		patterns = append(patterns, exactly(test))
	}
	again := map[string]bool{} // top tests of which a part took the guest down, before others had their turn
	for _, name := range c.killers {
		if name.suite == suite {
			top, part, _ := strings.Cut(name.test, "/")
			again[top] = part != ""
			patterns = append(patterns, exactly(name.test))
		}
	}
	for name := range c.cells {
		if name.suite == suite && !strings.Contains(name.test, "/") && !again[name.test] {
			patterns = append(patterns, exactly(name.test))
		}
	}
	slices.Sort(patterns)
	return strings.Join(slices.Compact(patterns), "|")
}

// exactly is a pattern, as -test.run takes it, for one test or subtest.
func exactly(test string) string {
	parts := strings.Split(test, "/")
	for i, part := range parts {
		parts[i] = "^" + regexp.QuoteMeta(part) + "$"
	}
	return strings.Join(parts, "/")
}
