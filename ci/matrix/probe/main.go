// Command probe finds out what a kernel has and what it makes of programs, and prints a line of JSON for each answer. It runs in a guest, or on the
// machine itself.
//
//	probe features                what package feature knows to ask
//	probe datapath                skbench's own programs
//	probe programs FILE…          those of ELF objects
//	probe vectors NAME FILE…      suites of vectors
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf/rlimit"

	"github.com/skbench/skbench/ci/matrix/job"
	"github.com/skbench/skbench/harness/feature"
	"github.com/skbench/skbench/harness/vector"
)

func main() {
	if len(os.Args) < 2 {
		exit(fmt.Errorf("say what to probe: features, datapath, programs FILE…, vectors NAME FILE…"))
	}
	if err := rlimit.RemoveMemlock(); err != nil { // Needed before Linux 5.11.
		exit(err)
	}
	switch what, args := os.Args[1], os.Args[2:]; what {
	case "features":
		for finding := range feature.Findings() {
			say("feature", finding)
		}
	case "datapath":
		sayAll(datapath())
	case "programs":
		for _, file := range args {
			sayAll(object("object "+filepath.Base(file), file))
		}
	case "vectors":
		vector.RunFiles(context.Background(), args[1:], vector.Options{Artifacts: os.TempDir()}, func(r *vector.Result) { sayAll(vectors(args[0], r)) })
	default:
		exit(fmt.Errorf("%s is nothing to probe", what))
	}
}

func sayAll(cells []job.Cell) {
	for _, cell := range cells {
		say("cell", cell)
	}
}

func say(key string, value any) {
	line, err := json.Marshal(map[string]any{key: value})
	if err != nil {
		exit(err)
	}
	if _, err := os.Stdout.Write(append(line, '\n')); err != nil {
		exit(err)
	}
}

func exit(err error) {
	fmt.Fprintln(os.Stderr, "probe:", err)
	os.Exit(1)
}
