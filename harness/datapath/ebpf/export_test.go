package ebpf

import (
	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness"
)

// FirstPrograms are those of the first node of a datapath that is in no lab.
func FirstPrograms(f harness.Forwarder) *bpf.Node { return f.(*forwarder).nodes[0].programs }
