package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/tools/cover"
)

// bench is everything that mutants are tried with.
type bench struct {
	source, out, temporary string
	binary                 string // the tests of bpf/, compiled
	objects                []*object
	tests                  []*test // the quickest first
	inputs                 string  // hash of all sources and tests
	known                  map[string]result
	within                 time.Duration // see the flag
}

// A test is one of bpf/, what it costs, and the lines that it runs.
type test struct {
	Name  string
	Took  time.Duration // of CPUs
	Lines map[string][]int
}

func (t *test) runs(p place) bool { return slices.Contains(t.Lines[p.file], p.line) }

// newBench compiles objects and tests as they are, and learns what each test runs, unless that is known already.
func newBench(ctx context.Context, source, out string, log io.Writer) (_ *bench, err error) {
	b := &bench{source: source, out: out, known: map[string]result{}}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, err
	}
	if b.temporary, err = os.MkdirTemp("", "skbench-mutants-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	if err := b.readObjects(ctx); err != nil {
		return nil, err
	}
	hash := sha256.New()
	if err := hashFiles(hash, source+"/*.c", source+"/lib/*.h", source+"/include/*.h", source+"/*.go", source+"/testdata/*"); err != nil {
		return nil, err
	}
	b.inputs = hex.EncodeToString(hash.Sum(nil))
	b.binary = filepath.Join(b.temporary, "bpf.test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", b.binary, "./"+source)
	if text, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("the tests of %s do not compile: %w\n%s", source, err, text)
	}
	if err := b.learn(ctx, log); err != nil {
		return nil, err
	}
	return b, readJSON(filepath.Join(out, "results.json"), &b.known)
}

func (b *bench) close() error { return os.RemoveAll(b.temporary) }

// learn runs each test by itself, with coverage.
func (b *bench) learn(ctx context.Context, log io.Writer) error {
	file := filepath.Join(b.out, "tests-"+b.inputs[:16]+".json")
	var tests []*test // as far as they are known
	if err := readJSON(file, &tests); err != nil {
		return err
	}
	list := b.command(ctx, "-test.list", "^Test")
	names, err := list.Output()
	if err != nil {
		return fmt.Errorf("listing the tests: %w", err)
	}
	for _, name := range strings.Fields(string(names)) {
		if slices.ContainsFunc(tests, func(t *test) bool { return t.Name == name }) {
			continue
		}
		t := &test{Name: name, Lines: map[string][]int{}}
		profile := filepath.Join(b.temporary, "c.out")
		alone := b.command(ctx, "-test.run", "^"+name+"$", "-cover-c", profile)
		if text, err := alone.CombinedOutput(); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			fmt.Fprintf(log, "%s is left out, as it fails though nothing is broken: %s\n%s", name, err, text)
			continue
		}
		t.Took = alone.ProcessState.UserTime() + alone.ProcessState.SystemTime()
		profiles, err := cover.ParseProfiles(profile)
		if err != nil {
			return err
		}
		for _, p := range profiles {
			for _, block := range p.Blocks {
				if block.Count > 0 {
					name, err := b.below(p.FileName)
					if err != nil {
						return err
					}
					t.Lines[name] = append(t.Lines[name], block.StartLine)
				}
			}
		}
		fmt.Fprintf(log, "%s takes %s\n", t.Name, t.Took.Round(time.Millisecond))
		tests = append(tests, t)
		if err := writeJSON(file, tests); err != nil {
			return err
		}
		if err := settle(ctx); err != nil {
			return err
		}
	}
	b.tests = slices.DeleteFunc(tests, func(t *test) bool { return len(t.Lines) == 0 })
	slices.SortFunc(b.tests, func(a, b *test) int { return cmp.Compare(a.Took, b.Took) })
	return nil
}

// below is the name of a source file from the folder of sources on.
func (b *bench) below(file string) (string, error) {
	folder, err := filepath.Abs(b.source)
	if err != nil {
		return "", err
	}
	return filepath.Rel(folder, file)
}

// command runs the tests of bpf/.
func (b *bench) command(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, b.binary, args...)
	c.Dir = b.source
	return c
}

// fates of a mutant.
const (
	killed   = "killed"
	survived = "SURVIVED"
	rejected = "rejected" // by the verifier
	same     = "same"     // code as before
	unbuilt  = "unbuilt"
)

// result is what became of a mutant.
type result struct {
	Mutant mutant
	Fate   string
	By     string // the test that killed it
}

// try tries one mutant, unless it is known what becomes of it.
func (b *bench) try(ctx context.Context, m mutant) (result, error) {
	sum := sha256.Sum256([]byte(b.inputs + m.String()))
	key := hex.EncodeToString(sum[:])
	if r, ok := b.known[key]; ok {
		return r, nil
	}
	r := result{Mutant: m}
	var wrong errDoesNotCompile
	folder, differ, err := b.build(ctx, m)
	defer os.RemoveAll(folder)
	switch {
	case ctx.Err() != nil:
		return r, ctx.Err()
	case errors.As(err, &wrong) && wrong.blames(m):
		r.Fate = unbuilt
	case err != nil:
		return r, err
	case !differ:
		r.Fate = same
	default:
		if r.Fate, r.By, err = b.meet(ctx, m, folder); err != nil {
			return r, err
		}
	}
	b.known[key] = r
	return r, writeJSON(filepath.Join(b.out, "results.json"), b.known)
}

// meet runs those tests against the objects in a folder that may notice: the quickest first, several at once as long as they are.
func (b *bench) meet(ctx context.Context, m mutant, objects string) (fate, by string, err error) {
	for _, names := range b.groups(place{m.File, m.Line}) {
		out, failed := b.test(ctx, objects, names)
		if err := errors.Join(ctx.Err(), settle(ctx)); err != nil {
			return "", "", err
		}
		switch {
		case strings.Contains(out, "verifier rejects a program") || strings.Contains(out, "the kernel rejects it"):
			return rejected, "", nil
		case failed:
			return killed, culprit(out, names), nil
		}
	}
	return survived, "", nil
}

// groups are the tests that run a line, then those that run any other of its file, as many together as take a few seconds. A condition
// may run in none of its own line's instructions: the compiler tells those of what is inlined into it.
func (b *bench) groups(p place) (groups [][]string) {
	const together = 8 * time.Second
	took, all := together, time.Duration(0)
	var order, others []*test
	for _, t := range b.tests {
		switch {
		case t.runs(p):
			order = append(order, t)
		case len(t.Lines[p.file]) > 0:
			others = append(others, t)
		}
	}
	for _, t := range append(order, others...) {
		if all += t.Took; b.within > 0 && all > b.within {
			break
		}
		if took+t.Took > together {
			groups, took = append(groups, nil), 0
		}
		took += t.Took
		groups[len(groups)-1] = append(groups[len(groups)-1], t.Name)
	}
	return groups
}

// test runs some tests, up to the first that fails: what then still runs is ended, as -test.failfast would not.
func (b *bench) test(ctx context.Context, objects string, names []string) (out string, failed bool) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	absolute, err := filepath.Abs(objects)
	if err != nil {
		return err.Error(), true
	}
	c := b.command(ctx, "-test.run", "^("+strings.Join(names, "|")+")$", "-test.v", "-test.timeout", "180s", "-test.parallel", "2", "-objects", absolute)
	lines, err := c.StdoutPipe()
	if err != nil {
		return err.Error(), true
	}
	c.Stderr = c.Stdout
	if err := c.Start(); err != nil {
		return err.Error(), true
	}
	var text strings.Builder
	for scanner := bufio.NewScanner(lines); scanner.Scan(); {
		text.WriteString(scanner.Text() + "\n")
		if strings.HasPrefix(scanner.Text(), "--- FAIL: ") {
			break
		}
	}
	failed = strings.Contains(text.String(), "\n--- FAIL: ")
	stop()
	return text.String(), c.Wait() != nil && !strings.HasSuffix(text.String(), "PASS\n") || failed
}

// culprit is the test that failed.
func culprit(out string, names []string) string {
	for line := range strings.Lines(out) {
		if rest, ok := strings.CutPrefix(line, "--- FAIL: "); ok {
			return strings.Fields(rest)[0]
		}
	}
	return strings.Join(names, " or ")
}

// settle waits until the kernel has freed what the tests closed: freeing very many programs at once is more than it can take.
func settle(ctx context.Context) error {
	for {
		busy, err := freeing()
		if err != nil || !busy {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// freeing tells whether a worker of the kernel waits for something it cannot be woken from, as those do that free programs.
func freeing() (bool, error) {
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return false, err
	}
	for _, file := range all {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		if _, rest, ok := strings.Cut(string(text), "(kworker"); ok {
			if _, state, ok := strings.Cut(rest, ") "); ok && strings.HasPrefix(state, "D") {
				return true, nil
			}
		}
	}
	return false, nil
}

// mutants lists all mutants of a file, or of all files, whose lines some object has code of.
func (b *bench) mutants(only string) (all []mutant, err error) {
	files, err := filepath.Glob(filepath.Join(b.source, "lib", "*.h"))
	if err != nil {
		return nil, err
	}
	for _, o := range b.objects {
		files = append(files, filepath.Join(b.source, o.source))
	}
	for _, file := range files {
		name, err := filepath.Rel(b.source, file)
		if err != nil {
			return nil, err
		}
		if only != "" && name != only {
			continue
		}
		text, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		number := 0
		for scanner := bufio.NewScanner(text); scanner.Scan(); {
			number++
			if b.hasCode(place{name, number}) {
				all = append(all, mutate(name, number, scanner.Text())...)
			}
		}
		text.Close()
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("there is no line of code in %s: give the name of a file below %s", only, b.source)
	}
	return all, nil
}

func (b *bench) hasCode(p place) bool {
	return slices.ContainsFunc(b.objects, func(o *object) bool { return o.lines[p] })
}

// readJSON reads a file, if there is one.
func readJSON(file string, to any) error {
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(text, to)
}

func writeJSON(file string, from any) error {
	text, err := json.MarshalIndent(from, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(file+".new", text, 0o644); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}
