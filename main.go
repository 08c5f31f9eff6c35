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
	err := parsed.Run()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = errors.New("interrupted before the end: what was under way is in no report")
	}
	if err != nil {
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
	Quick bool        `help:"Fewer and shorter samples, and what matters most: about a minute."`
	Only  []string    `placeholder:"NAME" help:"Benchmarks to run, such as pps,latency; all by default."`
	Shard bench.Shard `placeholder:"I/N" help:"The Ith of N parts of the run, one for each machine; skbench report merge puts them together."`
	Out   string      `help:"Folder to write the report to." default:"out/bench" type:"path"`
}

func (c *benchCommand) Run(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return errNeedsRoot
	}
	// A run of half an hour comes before the folder is written to.
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return fmt.Errorf("the report has no folder: %w: choose another with --out", err)
	}
	progress := newProgress(os.Stderr)
	results, failed := bench.Run(ctx, bench.Options{Quick: c.Quick, Only: c.Only, Shard: c.Shard, Progress: progress.say})
	progress.done()
	if results == nil || len(results.Results) == 0 || ctx.Err() != nil {
		return failed
	}
	if err := results.Write(c.Out); err != nil {
		return errors.Join(failed, err)
	}
	rendered, err := reports.Render(c.Out, reports.Options{})
	if err != nil {
		return errors.Join(failed, err)
	}
	fmt.Println(rendered.Verdict())
	fmt.Println(filepath.Join(c.Out, "index.html"))
	return failed
}

type doctorCommand struct {
	JSON bool `help:"Print JSON."`
}

func (c *doctorCommand) Run() error {
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
