package ebpf

import (
	"time"

	"github.com/skbench/skbench/bpf"
)

// expiryPeriod is how often idle flows are looked for: often against their timeouts, and seldom against what a look costs.
const expiryPeriod = 10 * time.Second

// expiry removes the idle flows of nodes from time to time.
type expiry struct {
	stop chan struct{}
	done chan error
}

// expireFlows starts it. The caller closes it before the nodes.
func expireFlows(nodes []*node) *expiry {
	e := &expiry{stop: make(chan struct{}), done: make(chan error, 1)}
	go func() { e.done <- e.run(nodes) }()
	return e
}

// run returns the first error there was.
func (e *expiry) run(nodes []*node) (first error) {
	ticker := time.NewTicker(expiryPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-e.stop:
			return first
		case <-ticker.C:
		}
		for _, n := range nodes {
			if _, err := n.programs.ExpireFlows(bpf.DefaultTimeouts); err != nil && first == nil {
				first = err
			}
		}
	}
}

func (e *expiry) close() error {
	close(e.stop)
	return <-e.done
}
