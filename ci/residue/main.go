// Command residue shows what a command has left on the machine: it compares the machine before and after, prints each difference in one line
// and exits with status 1 if there is one.
//
//	residue [-wait 10s] -- COMMAND ARGS...
//	residue -kill-random 100 [-seed N] [-within 2s] -- COMMAND ARGS...
//	residue snapshot FILE
//	residue [-wait 10s] compare FILE
//
// The command gets a temporary folder of its own (TMPDIR), and becomes a descendant of residue whatever it does to its parents, so that its
// processes and files are known from those of others on the machine. Package snapshot tells what is compared, and what is not.
//
// With -kill-random, the command is run to its end once to learn how long it takes, and then killed with SIGKILL at random moments of that
// time, again and again; the machine must be as before each time, or it stops there. Name the program itself, not a shell or "go run" around
// it, since only the process that was started is killed. -within gives the time for a command that does not end by itself.
//
// The kernel keeps control groups when those who made them die. Those of skbench's networks are removed after each kill as the next run would
// remove them.
//
// Between snapshot and compare nothing tells the run's processes from those of others: every new one counts. Use them on a quiet machine.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"

	"github.com/skbench/skbench/ci/residue/snapshot"
)

func main() {
	status, err := run(os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "residue:", err)
		os.Exit(2)
	}
	os.Exit(status)
}

// run carries out the command line and returns the exit status: 1 for a residue, else that of the command.
func run(args []string, out io.Writer) (int, error) {
	flags := flag.NewFlagSet("residue", flag.ContinueOnError)
	wait := flags.Duration("wait", 10*time.Second, "how long the kernel may take to free what the run held")
	kills := flags.Int("kill-random", 0, "kill the command this many `times`, each at a random moment")
	seed := flags.Uint64("seed", rand.Uint64(), "of the random moments")
	within := flags.Duration("within", 0, "kill within this time of the start; 0: the time that the command takes")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	if os.Geteuid() != 0 {
		return 0, errors.New("needs root, to see what other processes hold: run it with sudo")
	}
	switch rest := flags.Args(); {
	case len(rest) == 2 && rest[0] == "snapshot":
		return 0, save(rest[1])
	case len(rest) == 2 && rest[0] == "compare":
		return compare(rest[1], *wait, out)
	case len(rest) == 0:
		return 0, errors.New("no command given: residue -- COMMAND")
	case *kills > 0:
		r := runner{command: rest, wait: *wait, out: out}
		return r.killRandomly(*kills, *within, *seed)
	default:
		r := runner{command: rest, wait: *wait, out: out}
		return r.run()
	}
}

func save(file string) error {
	s, err := snapshot.Take(snapshot.Options{Folders: []string{os.TempDir()}})
	if err != nil {
		return err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}

func compare(file string, wait time.Duration, out io.Writer) (int, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	var before snapshot.Snapshot
	if err := json.Unmarshal(text, &before); err != nil {
		return 0, fmt.Errorf("%s is no snapshot: %w", file, err)
	}
	left, err := snapshot.Settle(before, func() (snapshot.Snapshot, error) {
		return snapshot.Take(snapshot.Options{Folders: []string{os.TempDir()}, Ours: func(all map[int]snapshot.Process, p snapshot.Process) bool {
			_, old := before.Things["process"][p.Key()]
			isOurself := p.PID == os.Getpid() || snapshot.IsBelow(all, all[os.Getpid()], p.PID)
			return !old && !isOurself
		}})
	}, wait)
	if err != nil {
		return 0, err
	}
	return report(out, before, left), nil
}

// report prints what differs and what could not be seen, and returns the exit status.
func report(out io.Writer, before snapshot.Snapshot, left []snapshot.Difference) int {
	for kind, why := range before.Unseen {
		fmt.Fprintf(out, "not compared: %s (%s)\n", kind, why)
	}
	for _, d := range left {
		fmt.Fprintln(out, d)
	}
	if len(left) > 0 {
		return 1
	}
	return 0
}
