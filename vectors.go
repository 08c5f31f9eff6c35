package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/skbench/skbench/harness/vector"
	"github.com/skbench/skbench/harness/vector/cilium"
	"github.com/skbench/skbench/harness/vector/cover"
)

type vectorsCommand struct {
	Suites     []string          `arg:"" name:"suite" help:"YAML files; with --convention, objects or folders of them."`
	Convention string            `enum:",cilium" default:"" help:"Run objects that hold their own tests: cilium, as in bpf/tests."`
	Set        map[string]string `placeholder:"NAME=VALUE" help:"Set global variables of the objects."`
	JSON       bool              `help:"Print what go test -json would."`
	JUnit      string            `name:"junit" placeholder:"FILE" help:"Write the results as JUnit, too."`
	Artifacts  string            `placeholder:"DIR" help:"Folder for captures of what failed and logs of the verifier; a temporary one by default."`
	Live       bool              `help:"Send the vectors over real devices, too, through the programs that a suite attaches, and compare with BPF_PROG_RUN."`
	Time       bool              `help:"Measure what a packet costs: ns, packet and context restored before every run."`
	Samples    int               `help:"Runs to measure, of --iterations packets each." default:"9"`
	Iter       int               `name:"iterations" help:"Packets of a run." default:"100000"`
	Verifier   bool              `help:"Tell what each program costs the verifier: instructions, states, stack."`
	Save       string            `placeholder:"FILE" help:"Write what --verifier tells to a file."`
	Compare    string            `placeholder:"FILE" help:"Compare with what --save wrote earlier."`
	Cover      string            `placeholder:"FILE" help:"Write which lines of the programs' source ran, as go tool cover -html reads it."`
	CoverHTML  string            `name:"cover-html" placeholder:"FILE" help:"Write that as one page, with branches."`
}

// Validate tells flags that exclude one another.
func (c *vectorsCommand) Validate() error {
	if c.Convention != "" && (c.Live || c.Time) {
		return errors.New("--live and --time are for suites: objects that hold their own tests are run as they stand")
	}
	if c.Samples < 1 || c.Iter < 1 {
		return errors.New("--samples and --iterations are numbers from 1 on")
	}
	return nil
}

func (c *vectorsCommand) Run(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return errNeedsRoot
	}
	options := vector.Options{Artifacts: c.Artifacts, Live: c.Live, Verifier: c.Verifier || c.Save != "" || c.Compare != ""}
	if c.Time {
		options.Time = &vector.Measurement{Samples: c.Samples, Runs: c.Iter}
	}
	var counters cover.Counters
	defer counters.Close()
	covered := c.Cover != "" || c.CoverHTML != ""
	if covered {
		options.Configuration.Cover = &counters
	}
	report := vector.Report{JSON: c.JSON, JUnit: c.JUnit, Save: c.Save, Compare: c.Compare}
	options.Configuration.Constants = map[string]any{}
	for name, value := range c.Set {
		options.Configuration.Constants[name] = value
	}
	var told error
	run := vector.RunFiles
	if c.Convention == "cilium" {
		run = cilium.Run
	}
	results := run(ctx, c.Suites, options, func(r *vector.Result) {
		told = errors.Join(told, report.Suite(os.Stdout, r))
	})
	if err := errors.Join(told, report.End(os.Stdout, results)); err != nil {
		return err
	}
	if covered {
		if err := c.writeCoverage(&counters); err != nil {
			return err
		}
	}
	return vector.Err(results)
}

func (c *vectorsCommand) writeCoverage(counters *cover.Counters) error {
	report, err := counters.Report()
	if err != nil {
		return err
	}
	if !c.JSON {
		fmt.Println(report)
	}
	return report.WriteFiles(c.Cover, c.CoverHTML)
}
