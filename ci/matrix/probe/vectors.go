package main

import (
	"errors"

	"github.com/cilium/ebpf"

	"github.com/skbench/skbench/ci/matrix/job"
	"github.com/skbench/skbench/harness/vector"
)

// vectors makes cells of a suite's result: one for each vector, and one for what kept the suite from running.
func vectors(suite string, result *vector.Result) (cells []job.Cell) {
	for _, v := range result.Vectors {
		cell := job.Cell{Suite: suite, Name: result.Suite + "/" + v.Name, State: job.Pass, Seconds: v.Duration.Seconds()}
		if v.Failure != nil {
			cell.State, cell.Log, cell.Reason = job.Fail, v.Failure.String(), firstLine(v.Failure.Differences)
		}
		cells = append(cells, cell)
	}
	if result.Err != nil {
		cell := job.Cell{Suite: suite, Name: result.Suite, State: job.Fail, Log: result.Err.Error()}
		cell.Reason = firstLine(result.Err.Error())
		if lacks, ok := errors.AsType[*vector.Unsupported](result.Err); ok {
			cell.State, cell.Feature, cell.Since = job.Unsupported, lacks.Feature, lacks.Since
			cell.Reason = "needs " + lacks.Feature
		} else if errors.Is(result.Err, ebpf.ErrNotSupported) {
			cell.State = job.Unsupported
		}
		cells = append(cells, cell)
	}
	return cells
}
