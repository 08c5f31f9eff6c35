package matrix

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/skbench/skbench/ci/matrix/job"
	"github.com/skbench/skbench/ci/matrix/kernel"
	"github.com/skbench/skbench/ci/matrix/vm"
)

// Run runs the matrix. What keeps one kernel or suite out is told in the matrix and hinders no other; the error is what keeps all of them out.
func Run(ctx context.Context, o Options) (*Matrix, error) {
	// Hours of guests come before the folder is written to.
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return nil, fmt.Errorf("the report has no folder: %w: choose another with --out", err)
	}
	list, err := kernel.ReadList(o.List)
	if err != nil {
		return nil, err
	}
	matrix := &Matrix{Schema: Schema, Shard: o.Shard.String()}
	kernels, err := list.Select(o.Kernels...)
	matrix.trouble(err)
	if len(kernels) == 0 {
		return nil, err
	}
	cacheDir, err := kernel.UserCache()
	if err != nil {
		return nil, err
	}
	work, done, err := workFolder(filepath.Join(cacheDir, "runs"))
	if err != nil {
		return nil, err
	}
	defer done()
	o.say("building what runs on the kernels")
	p, problems, err := makePlan(ctx, o, work)
	if err != nil {
		return nil, err
	}
	matrix.trouble(problems...)
	r := &run{
		Options: o, plan: p, work: work,
		cache: kernel.Cache{Dir: cacheDir, Mirror: list.Mirror, Progress: o.say},
	}
	if err := r.share(); err != nil {
		return nil, err
	}
	var columns []*whole
	for i, k := range kernels {
		if !o.Shard.has(i) {
			continue
		}
		w := &whole{Kernel: k, column: &Column{Name: k.Name, Cells: []*job.Cell{}}, of: 1}
		if k.Name != kernel.Host {
			w.of = p.guests(o.parallel())
		}
		matrix.Kernels = append(matrix.Kernels, w.column)
		columns = append(columns, w)
	}
	var parts errgroup.Group
	parts.SetLimit(o.parallel())
	for _, w := range slices.Backward(columns) { // Lists end with the newest, which takes longest: it goes first.
		for i := range w.of {
			parts.Go(func() error {
				r.part(ctx, w, part{i, w.of})
				return nil
			})
		}
	}
	_ = parts.Wait()
	matrix.Environment = environment(r.accelerator, o)
	return matrix, ctx.Err()
}

// trouble notes problems, one a line.
func (m *Matrix) trouble(problems ...error) {
	for _, problem := range problems {
		if problem != nil {
			m.Problems = append(m.Problems, strings.Split(problem.Error(), "\n")...)
		}
	}
}

func (o Options) say(what string) {
	if o.Progress != nil {
		o.Progress(what)
	}
}

func (o Options) parallel() int {
	if o.Parallel > 0 {
		return o.Parallel
	}
	return runtime.NumCPU()
}

// run is a matrix being made.
type run struct {
	Options
	*plan
	work  string // folder that goes with the run
	cache kernel.Cache
	kvm   sync.Once
}

// share writes the files that all guests have.
func (r *run) share() error {
	r.shared = filepath.Join(r.work, "shared.cpio")
	file, err := os.Create(r.shared)
	if err != nil {
		return err
	}
	return errors.Join(r.base(file), file.Close())
}

// host runs the job on the machine itself.
func (r *run) host(ctx context.Context, c *collector) error {
	c.column.Machine, c.started = kernel.Host, time.Now()
	if os.Geteuid() != 0 {
		return errors.New("the machine's own kernel needs root, to make network namespaces and load BPF programs: run it with sudo")
	}
	release, err := hostRelease()
	if err != nil {
		return err
	}
	c.take(job.Record{Kind: job.Hello, Text: release})
	c.column.BootSeconds = 0
	for range maxBoots {
		left := r.job(onHost(), c, 1)
		if len(left.Steps) == 0 {
			return nil
		}
		if err := left.Run(ctx, filepath.Join(r.work, "artefacts"), c.take); err != nil {
			return err
		}
	}
	return fmt.Errorf("tests died %d times: the rest was not run", maxBoots)
}

// A guest may tell nothing for silence, and run for limit, in processor time.
const (
	silence = 90 * time.Second
	limit   = 30 * time.Minute
)

// maxBoots is how often a kernel is booted, each time after a test that took the guest down.
const maxBoots = 6

// guests runs the job in virtual machines: one, and another for what was left whenever a test took the guest with it.
func (r *run) guests(ctx context.Context, k kernel.Kernel, c *collector) error {
	ready, err := r.cache.Get(ctx, k)
	if err != nil {
		return err
	}
	c.column.Origin, c.column.Release = ready.Origin, ready.Release
	r.kvm.Do(func() { r.accelerator = r.findAccelerator(ctx, ready) })
	c.column.Machine = string(r.accelerator)
	name := k.Name
	if c.part.Of > 1 {
		name += "-" + c.part.String()
	}
	console := filepath.Join(r.work, name+".console")
	for {
		left := r.job(inGuest(), c, r.slowdown())
		if len(left.Steps) == 0 {
			return nil
		}
		if c.column.Boots == maxBoots {
			return fmt.Errorf("the guest died or hung %d times: the rest of its tests was not run", maxBoots)
		}
		root := filepath.Join(r.work, name+".cpio")
		if err := r.initramfs(ready, left, root); err != nil {
			return err
		}
		machine := vm.Machine{Image: ready.Image, Initramfs: root, Accelerator: r.accelerator, MemoryMiB: r.MemoryMiB, Console: console, Limit: limit,
			Silence: cmp.Or(r.Silence, silence), WithoutVirtio: r.withoutVirtio}
		r.say(fmt.Sprintf("kernel %s: booting %s", name, ready.Release))
		c.started, c.step = time.Now(), ""
		c.column.Boots++
		used, err := machine.Run(ctx, c.take)
		c.column.ProcessorSeconds += used.Seconds()
		os.Remove(root)
		if err == nil {
			continue // Nothing is left to do, as the next job shows.
		}
		if ctx.Err() != nil {
			return err
		}
		last := lastOf(console)
		if c.step == "" { // It never came up.
			c.column.Console = last
			return fmt.Errorf("%w before it told anything: see whether its vmlinuz is whole, and a kernel for x86-64", err)
		}
		state := job.Crash
		if errors.Is(err, vm.ErrHung) {
			state = job.Timeout
		}
		if errors.Is(err, vm.ErrDied) {
			err = died(last)
		}
		c.cut(state, err.Error(), last)
	}
}

// died says what a guest died of, from its last console lines.
func died(console string) error {
	for line := range strings.Lines(console) {
		if _, why, ok := strings.Cut(line, "Kernel panic - not syncing: "); ok {
			return fmt.Errorf("the kernel panicked: %s", strings.TrimSpace(why))
		}
	}
	return errors.New("the guest died")
}

// lastOf is the end of a console's log.
func lastOf(console string) string {
	text, err := os.ReadFile(console)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(string(text), "\r", "")), "\n")
	return strings.Join(lines[max(0, len(lines)-lastLines):], "\n")
}

// slowdown is how many times longer tests wait before they give up: system calls take 3 to 4 times longer under emulation, and more when the host's
// processors are shared.
func (r *run) slowdown() int {
	if r.accelerator == vm.TCG {
		return 10
	}
	return 1
}

// summary counts the column's cells.
func (c *Column) summary() string {
	if c.Problem != "" {
		return c.Problem
	}
	counts := map[job.State]int{}
	for _, cell := range c.Cells {
		counts[cell.State]++
	}
	var parts []string
	for _, state := range []job.State{job.Pass, job.Fail, job.Unsupported, job.Inconclusive, job.Crash, job.Timeout} {
		if n := counts[state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, state))
		}
	}
	return fmt.Sprintf("%s in %.0f s", cmp.Or(strings.Join(parts, ", "), "no test"), c.Seconds)
}
