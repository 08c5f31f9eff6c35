package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/topo"
)

// split has the NIC under test receive in a kernel thread on the CPU before the
// generator's, so that it can be too slow. The tester's end takes frames back in
// softirqs of the same thread, on all sides alike.
func (r *run) split(s *side) error {
	node, _ := s.wire.network.Machine(underTest)
	thread, err := node.ThreadNAPI(topo.NIC)
	if err != nil {
		return fmt.Errorf("bench: the %s side cannot be split: %w", s.name, err)
	}
	var cpus unix.CPUSet
	cpus.Set(r.cpu - 1)
	if err := unix.SchedSetaffinity(thread, &cpus); err != nil {
		return fmt.Errorf("bench: pin the receiving thread to CPU %d: %w", r.cpu-1, err)
	}
	softirqs, err := newCPUClock(r.cpu - 1)
	if err != nil {
		return err
	}
	s.wire.receiver = &threadClock{"/proc/" + strconv.Itoa(thread) + "/schedstat", softirqs.schedstat}
	s.params["mode"] = "split"
	return nil
}

// threadClock tells the CPU time of a receiving thread, and of the ksoftirqd that takes
// over from it.
type threadClock [2]string

// now reads the clock; without one, in the inline mode, it stands still.
func (c *threadClock) now() (sum time.Duration, err error) {
	if c == nil {
		return 0, nil
	}
	for _, file := range c {
		ran, err := schedstat(file)
		if err != nil {
			return 0, fmt.Errorf("bench: the CPU time of the receiving thread: %w", err)
		}
		sum += ran
	}
	return sum, nil
}

// splitRates measures in the split mode, where more is offered than can be forwarded: what
// still gets through ("pps", packets/s), how much is lost ("loss", %), and what a packet
// costs the datapath alone ("cost", ns/packet, by the receiving thread's clock).
func (r *run) splitRates(ctx context.Context) error {
	return r.splitSides(ctx, "pps", func(sides []*side) error {
		rates, losses, costs := map[*side][]float64{}, map[*side][]float64{}, map[*side][]float64{}
		long := r.plan // as samples go: threads on two CPUs take a while to keep pace with each other
		long.rounds, long.duration = max(1, long.rounds/5), 5*long.duration
		err := long.interleave(sides, "packets per second, split", func(s *side) error {
			got, err := s.wire.saturate(ctx, long.duration)
			if err != nil {
				return err
			}
			if got.Returned == 0 {
				return fmt.Errorf("bench: nothing of %d frames came through the %s side", got.Sent, s.name)
			}
			rates[s] = append(rates[s], float64(got.Returned)/got.wall.Seconds())
			losses[s] = append(losses[s], 100*(1-float64(got.Returned)/float64(got.Sent)))
			costs[s] = append(costs[s], float64(got.receiving.Nanoseconds())/float64(got.Returned))
			return nil
		})
		if err != nil {
			return err
		}
		empty := sides[0]
		r.results.add("pps", empty.params, "packets/s", rates[empty], nil)
		for _, s := range sides[1:] {
			r.results.add("pps", s.params, "packets/s", rates[s], rates[empty])
		}
		for _, s := range sides {
			r.results.add("loss", s.params, "%", losses[s], nil)
		}
		for _, s := range sides[1:] {
			r.results.addAlone("cost", s.params, "ns/packet", costs[s], costs[empty])
		}
		return nil
	})
}

// splitSides brings up the empty path and the main rows in the split mode. A machine that
// cannot do it has the benchmark recorded as absent.
func (r *run) splitSides(ctx context.Context, benchmark string, measure func([]*side) error) (err error) {
	lacks := func(reason string) error {
		params := usual.params("")
		delete(params, "datapath")
		params["mode"] = "split"
		r.results.lacks(benchmark, params, reason)
		return nil
	}
	if runtime.NumCPU() < 2 {
		return lacks("this machine has one CPU, and the split mode needs one for each end of the wire")
	}
	sides, err := r.bringUp(ctx, usual, mainRows, r.cpu, func(row row, reason string) {
		params := maps.Clone(usual.params(row.name))
		params["mode"] = "split"
		r.results.lacks(benchmark, params, reason)
	})
	defer func() { err = errors.Join(err, closeAll(sides)) }()
	if err != nil {
		return err
	}
	for _, s := range sides {
		if err := r.split(s); errors.Is(err, errors.ErrUnsupported) {
			return lacks("this kernel does not tell the threads of devices, as Linux does since 6.8")
		} else if err != nil {
			return err
		}
	}
	return measure(sides)
}
