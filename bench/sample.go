package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// sample is what one run measured.
type sample struct {
	wireCount               // frames of this run alone
	wall, cpu time.Duration // until the last frame was back; CPU time as cpuClock counts
	receiving time.Duration // CPU time of the receiving thread, in the split mode
}

// rate is in packets per second of CPU time, and cost in nanoseconds of it per packet.
// On a machine that does nothing else a second of CPU time is a second; what other
// processes take of the CPU in between is not counted.
func (s sample) rate() float64 { return float64(s.Returned) / s.cpu.Seconds() }
func (s sample) cost() float64 { return float64(s.cpu.Nanoseconds()) / float64(s.Returned) }

// cpuPart is the part of one CPU, in percent, that packets take which are offered at so many
// per second: bursts are whole, and so what was sent counts, and not what was asked for.
func (s sample) cpuPart(perSecond int) float64 {
	return 100 * s.cpu.Seconds() * float64(perSecond) / float64(s.Sent)
}

// loss says, as an error, that not every frame came back as it should.
func (s sample) loss() error {
	if s.Returned == s.Sent {
		return nil
	}
	return fmt.Errorf("of %d frames sent, %d came back translated and %d otherwise", s.Sent, s.Returned, s.Strayed)
}

// warm sends what is not counted, so that what ran before on the CPU, another side most
// of the time, has less to do with the sample that follows.
func (w *wire) warm(ctx context.Context) error {
	_, err := w.run(ctx, func(_ time.Time, send func(uint32) error) error {
		return send(uint32(min(w.flows, 1024)))
	})
	return err
}

// saturate sends as fast as the path lets it for the time.
func (w *wire) saturate(ctx context.Context, d time.Duration) (sample, error) {
	return w.run(ctx, func(start time.Time, send func(uint32) error) error {
		sent, next := 0, 1024
		for time.Since(start) < d && ctx.Err() == nil {
			if err := send(uint32(next)); err != nil {
				return err
			}
			sent += next
			next = rest(sent, time.Since(start), d)
		}
		return ctx.Err()
	})
}

// rest is how many frames to generate next, when so many took so long of the time d: a slow
// path has no more of it than a fast one.
func rest(sent int, took, d time.Duration) int {
	left := float64(sent) * float64(d-took) / float64(took)
	return int(min(max(left, 64), batch/2))
}

// once sends one packet of each flow.
func (w *wire) once(ctx context.Context) (sample, error) { return w.some(ctx, w.flows) }

// some sends one packet of so many flows, other ones each time until it was every one's turn.
// It may take the generator a few more than that: when it is interrupted, it begins its run
// anew.
func (w *wire) some(ctx context.Context, flows int) (sample, error) {
	return w.run(ctx, func(_ time.Time, send func(uint32) error) error {
		for left := flows; left > 0; left -= min(left, batch) {
			if err := send(uint32(min(left, batch))); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
}

// offer sends what is due at a fixed rate in the time, in bursts of 64, and sleeps
// between. A burst that is late is sent all the same, so the work is always that
// of the time, however long it took.
func (w *wire) offer(ctx context.Context, perSecond int, d time.Duration) (sample, error) {
	const burst = 64
	total := int(d.Seconds() * float64(perSecond))
	return w.run(ctx, func(start time.Time, send func(uint32) error) error {
		for sent := 0; sent < total && ctx.Err() == nil; sent += burst {
			due := start.Add(time.Duration(sent) * time.Second / time.Duration(perSecond))
			if err := sleepUntil(due); err != nil {
				return err
			}
			if err := send(burst); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
}

// pace sends bursts at a rate for the time, and waits for each without sleeping. A burst
// that is late is not caught up with: that would be a higher rate for a while.
func (w *wire) pace(ctx context.Context, perSecond float64, d time.Duration) (sample, error) {
	const burst = 32
	between := gap(perSecond, burst)
	return w.run(ctx, func(start time.Time, send func(uint32) error) error {
		for due := start; due.Sub(start) < d && ctx.Err() == nil; due = due.Add(between) {
			for time.Now().Before(due) {
			}
			if late := time.Now(); late.Sub(due) > between {
				due = late
			}
			if err := send(burst); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
}

// sleepUntil blocks the thread itself, so that waking costs no scheduling of
// goroutines on another one.
func sleepUntil(due time.Time) error {
	for left := time.Until(due); left > 0; left = time.Until(due) {
		ts := unix.NsecToTimespec(left.Nanoseconds())
		if err := unix.Nanosleep(&ts, nil); err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
	}
	return nil
}

// run lets drive send frames, from a thread of the tester's namespace that is
// pinned to the CPU, and waits until all are back or lost.
func (w *wire) run(ctx context.Context, drive func(start time.Time, send func(uint32) error) error) (s sample, err error) {
	err = w.tester.Do(func() error {
		if err := pin(w.cpu); err != nil {
			return err
		}
		before, err := w.count()
		if err != nil {
			return err
		}
		cpu, err := w.clock.now()
		if err != nil {
			return err
		}
		received, err := w.receiver.now()
		if err != nil {
			return err
		}
		start := time.Now()
		if err := drive(start, w.send); err != nil {
			return err
		}
		s.wall = time.Since(start)
		var settled time.Time
		if s.wireCount, settled, err = w.settle(before); err != nil {
			return err
		}
		if w.receiver == nil {
			s.wall = settled.Sub(start)
		}
		after, err := w.clock.now()
		if err != nil {
			return err
		}
		s.cpu = after - cpu
		after, err = w.receiver.now()
		s.receiving = after - received
		return err
	})
	return s, err
}

// send generates n frames. The kernel may be interrupted and begin anew, so what
// was really sent is what the program counted.
func (w *wire) send(n uint32) error {
	const liveFrames = 1 << 1 // BPF_F_TEST_XDP_LIVE_FRAMES
	_, err := w.objects.Generate.Run(&ebpf.RunOptions{
		Data: w.frame, Context: w.context, Repeat: n, Flags: liveFrames, BatchSize: 64,
	})
	if err != nil {
		return fmt.Errorf("bench: generate frames: %w", err)
	}
	return nil
}

// settle waits until every frame sent since before is back, and tells when that was. What
// is missing after a second is lost; in the split mode, where frames are lost every time,
// after 5 ms in which no more came.
func (w *wire) settle(before wireCount) (now wireCount, at time.Time, err error) {
	patience := time.Second
	last := uint64(0)
	for at = time.Now(); ; {
		if now, err = w.count(); err != nil {
			return now, at, err
		}
		now = wireCount{
			Sent: now.Sent - before.Sent, Returned: now.Returned - before.Returned, Strayed: now.Strayed - before.Strayed,
		}
		arrived := now.Returned + now.Strayed
		if arrived > last {
			last, at = arrived, time.Now()
			if w.receiver != nil {
				patience = 5 * time.Millisecond
			}
		}
		if arrived >= now.Sent || time.Since(at) > patience {
			return now, at, nil
		}
	}
}

// count sums the counters of all CPUs.
func (w *wire) count() (sum wireCount, err error) {
	var perCPU []wireCount
	if err := w.objects.Counts.Lookup(uint32(0), &perCPU); err != nil {
		return sum, fmt.Errorf("bench: read the wire's counters: %w", err)
	}
	for _, c := range perCPU {
		sum.Sent += c.Sent
		sum.Returned += c.Returned
		sum.Strayed += c.Strayed
	}
	return sum, nil
}
