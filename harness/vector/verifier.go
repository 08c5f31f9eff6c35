package vector

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/skbench/skbench/harness/feature"
)

// Verified is what the kernel's verifier said of a program.
type Verified struct {
	Object       string `json:"object"`
	Program      string `json:"program"`
	Instructions int    `json:"instructions"` // that it went through, of at most a million
	States       int    `json:"states"`
	PeakStates   int    `json:"peak_states"`
	Stack        int    `json:"stack"` // bytes, of the deepest chain of functions, at most 512
}

// The verifier's log at level BPF_LOG_STATS (kernel/bpf/verifier.c, print_verification_stats).
var (
	processed  = regexp.MustCompile(`processed (\d+) insns .*total_states (\d+) peak_states (\d+)`)
	stackDepth = regexp.MustCompile(`stack depth ([\d+]+)`)
)

// verified reads the statistics out of a log. Functions that are verified one by one have a depth each: they are joined by plus.
func verified(object, program, log string) (v Verified, ok bool) {
	v.Object, v.Program = object, program
	found := processed.FindStringSubmatch(log)
	if found == nil {
		return v, false
	}
	v.Instructions, _ = strconv.Atoi(found[1])
	v.States, _ = strconv.Atoi(found[2])
	v.PeakStates, _ = strconv.Atoi(found[3])
	if depths := stackDepth.FindStringSubmatch(log); depths != nil {
		for _, depth := range strings.Split(depths[1], "+") {
			bytes, _ := strconv.Atoi(depth)
			v.Stack += bytes
		}
	}
	return v, true
}

// verifierFile is the form of a file of figures.
type verifierFile struct {
	Schema   string     `json:"schema"`
	Kernel   string     `json:"kernel"`
	Programs []Verified `json:"programs"`
}

const verifierSchema = "skbench/verifier/v1"

// allVerified are the programs of all results, each object's once.
func allVerified(results []*Result) (all []Verified) {
	seen := map[string]bool{}
	for _, r := range results {
		for _, v := range r.Verified {
			if key := v.Object + "\x00" + v.Program; !seen[key] {
				seen[key] = true
				all = append(all, v)
			}
		}
	}
	return all
}

// SaveVerified writes what the verifier said of the programs of suites, to be compared with later.
func SaveVerified(path string, results []*Result) error {
	release, err := feature.Release()
	if err != nil {
		return err
	}
	content, err := json.MarshalIndent(verifierFile{verifierSchema, release, allVerified(results)}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(content, '\n'), 0o644)
}

// ReadVerified reads a file of SaveVerified.
func ReadVerified(path string) ([]Verified, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, &InputError{File: path, Text: fmt.Sprintf("the earlier figures cannot be read: %v", err), Err: err}
	}
	var file verifierFile
	if err := json.Unmarshal(content, &file); err != nil || file.Schema != verifierSchema {
		return nil, &InputError{File: path, Text: "these are no figures of the verifier, as --save writes them", Err: err}
	}
	return file.Programs, nil
}

// WriteVerified writes a table of what the verifier said, with the change since an earlier run if there was one.
func WriteVerified(w io.Writer, results []*Result, before []Verified) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "program\tinstructions\tstates\tpeak\tstack\tobject\n")
	for _, v := range allVerified(results) {
		old := v
		if before != nil {
			old = earlier(before, v)
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\n", v.Program, changedFrom(old.Instructions, v.Instructions),
			changedFrom(old.States, v.States), changedFrom(old.PeakStates, v.PeakStates), changedFrom(old.Stack, v.Stack), v.Object)
	}
	return out.Flush()
}

// earlier are the figures of the same program before; zeros if there are none.
func earlier(before []Verified, v Verified) Verified {
	for _, b := range before {
		if b.Object == v.Object && b.Program == v.Program {
			return b
		}
	}
	return Verified{}
}

// changedFrom is a number, and what it was if that was another.
func changedFrom(before, now int) string {
	switch {
	case before == now:
		return strconv.Itoa(now)
	case before == 0:
		return fmt.Sprintf("%d (new)", now)
	}
	return fmt.Sprintf("%d (%+.1f %%)", now, 100*float64(now-before)/float64(before))
}
