// Package matrix runs suites on many kernels and tells, cell by cell, what each of them makes of each test: Debian's kernels in virtual machines
// without root, disk images or network, folders of the user's, and the machine's own kernel.
//
//	matrix, err := matrix.Run(ctx, matrix.Options{Tree: ".", List: "ci/kernels.yaml", Kernels: []string{"5.10", "7.3"}, Out: "out/matrix"})
//	err = matrix.Write("out/matrix")
//
// What is to be done on a kernel is a job (package job): steps that the host plans, that a guest's first process runs, and whose records become
// cells here.
package matrix

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/skbench/skbench/ci/matrix/job"
	"github.com/skbench/skbench/harness/feature"
)

// Schema names the format of matrix.json; reports/matrix.schema.json describes it.
const Schema = "skbench/matrix/v1"

// Matrix is what a run found out.
type Matrix struct {
	Schema      string            `json:"schema"`
	Environment map[string]string `json:"environment"` // time (RFC 3339), kernel, cpu, cpus of the host, and how guests ran
	// Shard is "2/5" where this is but a part of a matrix.
	Shard string `json:"shard,omitempty"`
	// Problems are what kept suites or kernels out, a sentence each.
	Problems []string  `json:"problems,omitempty"`
	Kernels  []*Column `json:"kernels"`
}

// Column is one kernel with its cells.
type Column struct {
	Name    string `json:"name"`
	Release string `json:"release,omitempty"` // as uname -r says it
	Origin  string `json:"origin,omitempty"`  // packages, or the folder
	Machine string `json:"machine"`           // "host", "kvm" or "tcg"
	// Problem is why the kernel could not be run at all, with its last console lines in Console.
	Problem string `json:"problem,omitempty"`
	Console string `json:"console,omitempty"`
	// Seconds is how long its cells took; BootSeconds until the guest's first process ran, FirstTestSeconds until its first test did.
	Seconds          float64 `json:"seconds"`
	ProcessorSeconds float64 `json:"processor_seconds,omitempty"` // that its guests took of the host
	BootSeconds      float64 `json:"boot_seconds,omitempty"`
	FirstTestSeconds float64 `json:"first_test_seconds,omitempty"`
	MemoryMiB        int     `json:"memory_mib,omitempty"` // the most in use
	Boots            int     `json:"boots,omitempty"`      // one for each guest, and one whenever a guest died or hung

	Cells    []*job.Cell       `json:"cells"`
	Features []feature.Finding `json:"features,omitempty"`
}

// Write writes matrix.json into a folder, whole or not at all. Package reports makes pages of it.
func (m *Matrix) Write(folder string) error {
	text, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	name := filepath.Join(folder, "matrix.json")
	if err := os.WriteFile(name+".partial", append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("%s not written: %w: make room, or choose another folder", name, err)
	}
	return os.Rename(name+".partial", name)
}
