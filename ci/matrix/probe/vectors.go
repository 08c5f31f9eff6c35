package main

import (
	"errors"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/skbench/skbench/ci/matrix/job"
	"github.com/skbench/skbench/harness/vector"
)

// vectors makes cells of a suite's result: one for each vector, and one for what kept the suite from running.
func vectors(suite string, result *vector.Result) (cells []job.Cell) {
	for _, v := range result.Vectors {
		cell := job.Cell{Suite: suite, Name: result.Suite + "/" + v.Name, State: job.Pass, Seconds: v.Duration.Seconds()}
		if v.Failure != "" {
			cell.State, cell.Log = job.Fail, v.Failure
			cell.Reason, _, _ = strings.Cut(v.Failure, "\n")
		}
		cells = append(cells, cell)
	}
	if result.Err != nil {
		cell := job.Cell{Suite: suite, Name: result.Suite, State: job.Fail, Log: result.Err.Error()}
		cell.Reason, _, _ = strings.Cut(result.Err.Error(), "\n")
		if errors.Is(result.Err, ebpf.ErrNotSupported) {
			cell.State = job.Unsupported
		}
		cells = append(cells, cell)
	}
	return cells
}
