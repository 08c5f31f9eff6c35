package ebpf

import (
	"fmt"
	"slices"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/topo"
)

// WithSocketRedirect moves the data of TCP sessions between two pods of one node
// from socket to socket: after the handshake no device carries any of it. Sessions
// with one of the pods onWire stay on the wire, for those that a policy binds.
//
// Off unless asked for, since the kernel does not keep all that it owes to the
// processes of such pods: see RedirectSessions of [bpf.Options].
func WithSocketRedirect(onWire ...string) Option {
	return func(d *datapath) { d.name += "-sessions"; d.redirected, d.onWire = true, onWire }
}

// checkOnWire fails for a pod that is not there.
func (d *datapath) checkOnWire(pods []topo.Pod) error {
	for _, name := range d.onWire {
		if !slices.ContainsFunc(pods, func(p topo.Pod) bool { return p.Name == name }) {
			return fmt.Errorf("WithSocketRedirect: there is no pod %q whose sessions could stay on the wire: name one of the topology's", name)
		}
	}
	return nil
}

// SessionMetrics tells, per node, what became of the TCP sessions of its pods and
// of the messages of those that are followed. The lab's datapath must be one
// WithSocketRedirect.
func SessionMetrics(lab *harness.Lab) (map[string]bpf.SessionMetrics, error) {
	f, ok := lab.Forwarder().(*forwarder)
	if !ok || !f.redirected {
		return nil, fmt.Errorf("%s follows no sessions: start the lab with ebpf.Datapath(ebpf.WithSocketRedirect())", lab.Datapath().Name())
	}
	metrics := map[string]bpf.SessionMetrics{}
	for _, n := range f.nodes {
		var err error
		if metrics[n.Name], err = n.programs.SessionMetrics(); err != nil {
			return nil, fmt.Errorf("%s: %w", n.Name, err)
		}
	}
	return metrics, nil
}
