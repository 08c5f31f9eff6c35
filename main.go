// Command skbench is the test bench for eBPF datapaths. It parses the command
// line, calls one package, and prints.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/alecthomas/kong"
	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/bench"
	"github.com/skbench/skbench/harness/feature"
	"github.com/skbench/skbench/harness/vector"
	"github.com/skbench/skbench/harness/vector/cover"
	"github.com/skbench/skbench/reports"
)

type commandLine struct {
	Bench   benchCommand   `cmd:"" help:"Measure packets per second and CPU: XDP, TC, iptables and the empty path, side by side."`
	Vectors vectorsCommand `cmd:"" help:"Run suites of vectors: packet and maps in; verdict, packet and maps out, by BPF_PROG_RUN."`
	Matrix  matrixCommand  `cmd:"" help:"Run suites on many kernels, in virtual machines, and tell cell by cell what each makes of them."`
	Report  reportCommand  `cmd:"" help:"Compare, join and render what was measured before, from files alone."`
	Doctor  doctorCommand  `cmd:"" help:"Tell what this kernel and machine can run, and why not."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	var commands commandLine
	parsed := kong.Parse(&commands,
		kong.Name("skbench"),
		kong.Description("The test bench for eBPF datapaths: a cluster's network on one machine, every packet's way proven, every datapath measured."),
		kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err := parsed.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "skbench:", err)
		os.Exit(exitStatus(err))
	}
}

// exitStatus is 1, unless the error says otherwise.
func exitStatus(err error) int {
	var own interface{ ExitCode() int }
	if errors.As(err, &own) {
		return own.ExitCode()
	}
	return 1
}

// errNeedsRoot is said before anything is built.
var errNeedsRoot = errors.New("this needs root, to make network namespaces and load BPF programs: run it with sudo")

type benchCommand struct {
	Quick bool   `help:"Fewer and shorter samples: about a minute."`
	Out   string `help:"Folder to write the report to." default:"out/bench" type:"path"`
}

func (c *benchCommand) Run(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return errNeedsRoot
	}
	progress := newProgress(os.Stderr)
	results, err := bench.Run(ctx, bench.Options{Quick: c.Quick, Progress: progress.say})
	progress.done()
	if err != nil {
		return err
	}
	if err := results.Write(c.Out); err != nil {
		return err
	}
	rendered, err := reports.Render(c.Out, reports.Options{})
	if err != nil {
		return err
	}
	fmt.Println(rendered.Verdict())
	fmt.Println(filepath.Join(c.Out, "index.html"))
	return nil
}

type vectorsCommand struct {
	Suites    []string `arg:"" name:"suite" help:"YAML files."`
	JSON      bool     `help:"Print what go test -json would."`
	JUnit     string   `name:"junit" placeholder:"FILE" help:"Write the results as JUnit, too."`
	Artifacts string   `placeholder:"DIR" help:"Folder for captures of what failed and logs of the verifier; a temporary one by default."`
	Time      bool     `help:"Measure what a packet costs: ns, packet and context restored before every run."`
	Samples   int      `help:"Runs to measure, of --iterations packets each." default:"9"`
	Iter      int      `name:"iterations" help:"Packets of a run." default:"100000"`
	Verifier  bool     `help:"Tell what each program costs the verifier: instructions, states, stack."`
	Save      string   `placeholder:"FILE" help:"Write what --verifier tells to a file."`
	Compare   string   `placeholder:"FILE" help:"Compare with what --save wrote earlier."`
	Cover     string   `placeholder:"FILE" help:"Write which lines of the programs' source ran, as go tool cover -html reads it."`
	CoverHTML string   `name:"cover-html" placeholder:"FILE" help:"Write that as one page, with branches."`
}

func (c *vectorsCommand) Run(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return errNeedsRoot
	}
	options := vector.Options{Artifacts: c.Artifacts, Verifier: c.Verifier || c.Save != "" || c.Compare != ""}
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
	var told error
	results := vector.RunFiles(ctx, c.Suites, options, func(r *vector.Result) {
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

type doctorCommand struct {
	JSON bool `help:"Print JSON."`
}

func (c *doctorCommand) Run(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return errNeedsRoot
	}
	findings := feature.Report()
	if !c.JSON {
		return feature.WriteText(os.Stdout, findings)
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(findings)
}
