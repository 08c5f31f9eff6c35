package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/skbench/skbench/ci/matrix"
	"github.com/skbench/skbench/reports"
)

type matrixCommand struct {
	Kernels  []string `help:"Kernels by their names in the list, folders (with a slash in them), or host for this machine's own; all of the list otherwise." placeholder:"NAME"`
	Pattern  string   `name:"run" help:"Run only tests that match, as go test -run does." placeholder:"REGEXP"`
	Quick    bool     `help:"One scenario of each kind, on eBPF alone."`
	Suite    []string `help:"Folder with Go tests, in place of the datapath's own suites; can be repeated." placeholder:"DIR" sep:"none"`
	Object   []string `help:"ELF object whose programs are loaded on each kernel; can be repeated." placeholder:"FILE" sep:"none"`
	Shard    string   `help:"Run only part i of n; skbench report merge joins them." placeholder:"I/N"`
	Parallel int      `help:"Guests side by side; as many as there are processors otherwise."`
	Repeat   int      `help:"Run all of it so many times, each into a folder of its own, and tell which cells were not the same." default:"1" placeholder:"N"`
	Memory   int      `help:"Memory of a guest in MiB." default:"1024"`
	List     string   `help:"List of kernels." default:"ci/kernels.yaml" type:"path"`
	Out      string   `help:"Folder to write the report to." default:"out/matrix" type:"path"`
}

func (c *matrixCommand) Run(ctx context.Context) error {
	shard, err := matrix.ParseShard(c.Shard)
	if err != nil {
		return err
	}
	tree, err := os.Getwd()
	if err != nil {
		return err
	}
	options := matrix.Options{
		Tree: tree, List: c.List, Kernels: c.Kernels, Run: c.Pattern, Quick: c.Quick, Suites: c.Suite, Objects: c.Object, Shard: shard,
		Parallel: c.Parallel, MemoryMiB: c.Memory, Out: c.Out,
	}
	if c.Repeat <= 1 {
		_, err := c.once(ctx, options)
		return err
	}
	var runs []*matrix.Matrix
	var errs []error
	for i := range c.Repeat {
		options.Out = filepath.Join(c.Out, fmt.Sprintf("run-%d", i+1))
		result, err := c.once(ctx, options)
		if result == nil {
			if len(runs) < 2 || ctx.Err() == nil {
				return err
			}
			errs = []error{err} // Interrupted: those that ended are compared all the same.
			break
		}
		runs, errs = append(runs, result), append(errs, err)
	}
	if different := matrix.Differences(runs...); len(different) > 0 {
		return fmt.Errorf("the runs are not alike:\n  %s", strings.Join(different, "\n  "))
	}
	fmt.Printf("%d runs gave the same cells\n", len(runs))
	return errs[0]
}

// once runs the matrix and makes its page. The matrix is there when it was run, whatever came of it.
func (c *matrixCommand) once(ctx context.Context, o matrix.Options) (*matrix.Matrix, error) {
	progress := newProgress(os.Stderr)
	o.Progress = progress.say
	result, err := matrix.Run(ctx, o)
	progress.done()
	if err != nil {
		return nil, err
	}
	if err := result.Write(o.Out); err != nil {
		return nil, err
	}
	rendered, err := reports.RenderMatrix(o.Out)
	if err != nil {
		return nil, err
	}
	return result, conclude(rendered, o.Out)
}

// conclude says how a matrix came out and where its page is. What is not as it should be is an error.
func conclude(m *reports.Matrix, dir string) error {
	fmt.Println(m.Verdict())
	fmt.Println(filepath.Join(dir, "index.html"))
	if trouble := m.Trouble(); len(trouble) > 0 {
		return errors.New(strings.Join(trouble, "\n  "))
	}
	return nil
}
