// Command repeatability measures the benchmarks' own method on a quiet machine, prints what it finds, and exits with status 1 where that is
// less than the README promises:
//
//   - two runs in a row: how far the medians of each rate are apart, as they are and beside the empty path, which is how reports compare;
//   - a datapath compared with itself side by side, 100 times: how often reports see a change that is none;
//   - a datapath compared side by side with itself slowed down by 10 %, 100 times: how often reports see it.
//
// Comparisons are of XDP and of TC: rates, and cost of the datapath alone, judged as skbench report compare judges them, with a repetition
// for what looks worse and without. Each lap brings everything up anew. How often the same would be seen from one night to the next,
// without a lap or an empty path in common, is told as well: each run beside the one of the comparison before.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/bench"
	"github.com/skbench/skbench/reports"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "repeatability:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("repeatability", flag.ContinueOnError)
	p := bench.Proof{}
	flags.IntVar(&p.Comparisons, "comparisons", 100, "of each datapath with itself")
	flags.IntVar(&p.Samples, "samples", 144, "of each side of a comparison, in twelve laps")
	flags.DurationVar(&p.Duration, "sample", 10*time.Millisecond, "how long each takes")
	flags.Float64Var(&p.Slower, "slower", 0.1, "by how much of its own cost the datapath is slowed down")
	turns := flags.Uint("turns", 0, "of the loop that slows it down, where they are known (default: as many as add -slower)")
	keep := flags.String("keep", "", "a folder for the runs that are compared, to be judged again")
	judge := flags.String("judge", "", "the folder of runs that were kept, to be judged and not measured")
	datapath := flags.String("datapath", "", "to compare with itself: xdp or tc; both, after two runs in a row, if empty")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *turns > math.MaxUint16 || *turns > 0 && *datapath == "" {
		return fmt.Errorf("-turns %d: give at most %d, and the -datapath that they slow down by a tenth, since each takes another number", *turns, math.MaxUint16)
	}
	p.Turns = uint16(*turns)
	if *judge != "" {
		return judgeKept(*judge, p, out)
	}
	dir := *keep
	if dir == "" {
		if dir, err = os.MkdirTemp("", "repeatability-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}

	datapaths, failed := []string{*datapath}, error(nil)
	if *datapath == "" {
		datapaths = []string{"xdp", "tc"}
		apart, err := twoRuns(ctx, dir)
		if err != nil {
			return err
		}
		failed = apart.print(out)
	}
	for _, p.Datapath = range datapaths {
		t := tally{proof: p}
		if t.delay, err = p.Run(ctx, quietly, func(c bench.Comparison) error { return t.keep(dir, c) }); err != nil {
			return err
		}
		failed = errors.Join(failed, t.print(out))
	}
	return failed
}

func quietly(string) {}

// judgeKept judges runs that were measured before.
func judgeKept(dir string, p bench.Proof, out io.Writer) (failed error) {
	judged := 0
	for _, p.Datapath = range []string{"xdp", "tc"} {
		kept, err := filepath.Glob(filepath.Join(dir, p.Datapath+"-*"))
		if err != nil {
			return err
		}
		judged += len(kept)
		t := tally{proof: p}
		for _, comparison := range kept {
			if err := t.judge(comparison); err != nil {
				return err
			}
		}
		if len(kept) > 0 {
			failed = errors.Join(failed, t.print(out))
		}
	}
	if judged == 0 {
		return fmt.Errorf("no runs were kept in %s: name a folder that -keep made", dir)
	}
	return failed
}

// twoRuns runs the rates of a quick run twice.
func twoRuns(ctx context.Context, dir string) (differences, error) {
	var runs [2]*reports.Results
	for i := range runs {
		results, err := bench.Run(ctx, bench.Options{Quick: true, Only: []string{"pps"}})
		if err != nil {
			return nil, err
		}
		if runs[i], err = read(filepath.Join(dir, "run"), results); err != nil {
			return nil, err
		}
	}
	return between(runs[0], runs[1]), nil
}

// read passes results on as a run does to a report: through a file.
func read(dir string, results *bench.Results) (*reports.Results, error) {
	if err := results.Write(dir); err != nil {
		return nil, err
	}
	return reports.ReadResults(dir)
}
