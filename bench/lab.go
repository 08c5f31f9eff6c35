package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/ebpf"
	"github.com/skbench/skbench/topo"
)

// labs measures how long it takes until a lab of so many nodes is up, with the ebpf
// datapath on it and observed as in a test, and until it is down again ("lab", s). The
// programs at sockets are left out: a hundred nodes have 500 programs without them, and
// 1,500 with them, more than Linux 6.18 can free at once.
func (r *run) labs(ctx context.Context) error {
	for _, nodes := range r.labNodes {
		rounds := max(1, min(r.rounds, 12)/nodes) // the largest takes tens of seconds
		took := map[string][]float64{}
		for round := range rounds {
			r.say(fmt.Sprintf("lab of %d nodes: round %d of %d", nodes, round+1, rounds))
			up, down, err := upAndDown(ctx, topo.Cluster(nodes))
			if err != nil {
				return fmt.Errorf("bench: a lab of %d nodes: %w", nodes, err)
			}
			took["up"], took["down"] = append(took["up"], up.Seconds()), append(took["down"], down.Seconds())
		}
		for _, phase := range []string{"up", "down"} {
			r.results.add("lab", map[string]string{"datapath": "ebpf", "nodes": strconv.Itoa(nodes), "phase": phase}, "s", took[phase], nil)
		}
	}
	return nil
}

func upAndDown(ctx context.Context, topology topo.Topology) (up, down time.Duration, err error) {
	start := time.Now()
	lab, err := harness.New(ctx, topology, ebpf.Datapath(ebpf.WithoutSockets()))
	if err != nil {
		return 0, 0, err
	}
	up = time.Since(start)
	start = time.Now()
	err = lab.Close()
	return up, time.Since(start), errors.Join(err, ctx.Err())
}
