// Command mutants breaks the C sources of bpf/ in systematic ways, one way at a time, and tells which of these mutants the tests of bpf/
// notice. A mutant that they do not notice is a place where the programs could be wrong, and nobody would see it.
//
//	mutants [-only FILE] [-sample N] [-seed S] [-within 30s] [-out DIR]
//
// A mutant changes one line that there is code of. It is compiled into a temporary folder, into those objects that the line is part of, and
// only the tests that run the line, as coverage tells, or another of its file, are run against it, up to one that fails. Mutants that make no
// other code than the original, that the verifier rejects or that do not compile are told apart and are not in the score.
//
// What became of a mutant is kept in DIR, by the sources of its objects and by all tests: whatever neither changed is not run again.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	only := flags.String("only", "", "break this `file` of bpf/ alone, such as lib/nat.h")
	sample := flags.Int("sample", 0, "break in so many ways, drawn at random; 0: in all")
	seed := flags.Uint64("seed", 1, "of the sample")
	within := flags.Duration("within", 0, "CPU time of the tests that a mutant meets at most, before it counts as one that survived; 0: of all")
	folder := flags.String("out", "out/mutants", "where to keep what became of each mutant")
	source := flags.String("bpf", "bpf", "where the sources are")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("this needs root, to load BPF programs: run it with sudo")
	}
	b, err := newBench(ctx, *source, *folder, out)
	if err != nil {
		return err
	}
	defer b.close()
	b.within = *within
	all, err := b.mutants(*only)
	if err != nil {
		return err
	}
	picked := all
	if *sample > 0 && *sample < len(all) {
		picked = draw(all, *sample, *seed)
	}
	fmt.Fprintf(out, "%d mutants of %d, %d tests\n", len(picked), len(all), len(b.tests))
	var done []result
	for i, m := range picked {
		start := time.Now()
		r, err := b.try(ctx, m)
		if err != nil {
			return errors.Join(err, summarise(out, done, len(all)))
		}
		done = append(done, r)
		fmt.Fprintf(out, "%4d %-10s %s  %s\n", i+1, r.Fate, m, time.Since(start).Round(time.Millisecond))
	}
	return summarise(out, done, len(all))
}

// draw draws n of all in a random order, so that the first of them, if it ends before, are a sample too.
func draw(all []mutant, n int, seed uint64) []mutant {
	places := rand.New(rand.NewPCG(seed, seed)).Perm(len(all))[:n]
	var drawn []mutant
	for _, place := range places {
		drawn = append(drawn, all[place])
	}
	return drawn
}
