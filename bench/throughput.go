package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// received is what a server got on one connection, and the CPU time that it took.
type received struct {
	bytes int
	cpu   time.Duration
}

// throughput measures what one TCP connection between two pods carries ("throughput",
// bit/s) in a second of CPU time: that of sender, receiver and all that is between. With
// offloads on, the devices leave segments and checksums as large and as unfinished as the
// kernel likes them.
func (r *run) throughput(ctx context.Context) error {
	for _, offloads := range []bool{true, false} {
		if err := r.streams(ctx, offloads); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) streams(ctx context.Context, offloads bool) (err error) {
	got := make(chan received, 1)
	pairs, err := r.bringUpPairs(ctx, "throughput", offloads, func(conn int) error {
		s, err := takeAll(conn)
		got <- s
		return err
	})
	defer func() { err = errors.Join(err, closeAll(pairs)) }()
	if err != nil {
		return err
	}
	clock, err := newCPUClock(r.cpu)
	if err != nil {
		return err
	}
	word := map[bool]string{true: "on", false: "off"}[offloads]
	rates := map[*pair][]float64{}
	plan := r.plan
	plan.rounds = max(1, plan.rounds/3)
	err = interleave(plan, pairs, "throughput, offloads "+word, func(p *pair) string { return p.name }, func(p *pair) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		rate, err := r.stream(p, plan.duration, clock, got)
		rates[p] = append(rates[p], rate)
		return err
	})
	if err != nil {
		return err
	}
	for _, p := range pairs {
		r.results.add("throughput", p.with("offloads", word), "bit/s", rates[p], floor(pairs, p, rates))
	}
	return nil
}

// stream sends for the time d, and returns the bits that arrived in a second of CPU time.
func (r *run) stream(p *pair, d time.Duration, clock *cpuClock, got <-chan received) (rate float64, err error) {
	err = p.client.Do(func() error {
		if err := pin(r.cpu); err != nil {
			return err
		}
		conn, err := dial(p.at())
		if err != nil {
			return err
		}
		before, err := clock.now()
		if err != nil {
			unix.Close(conn)
			return err
		}
		sent, err := sendFor(conn, d)
		unix.Close(conn)
		s := <-got
		if err != nil {
			return err
		}
		if s.bytes != sent {
			return fmt.Errorf("bench: %s: %d bytes were sent and %d received", p.name, sent, s.bytes)
		}
		after, err := clock.now()
		rate = float64(8*s.bytes) / (after - before + s.cpu).Seconds()
		return err
	})
	return rate, err
}

// sendFor sends as fast as the connection lets it.
func sendFor(conn int, d time.Duration) (sent int, err error) {
	piece := make([]byte, 64<<10)
	for start := time.Now(); time.Since(start) < d; {
		n, err := write(conn, piece)
		if err != nil {
			return sent, fmt.Errorf("bench: send: %w", err)
		}
		sent += n
	}
	return sent, nil
}

// takeAll reads until the sender hangs up.
func takeAll(conn int) (got received, err error) {
	start, err := threadTime()
	if err != nil {
		return got, err
	}
	buffer := make([]byte, 256<<10)
	for {
		n, err := read(conn, buffer)
		if err != nil {
			return got, fmt.Errorf("bench: receive: %w", err)
		}
		if n == 0 {
			break
		}
		got.bytes += n
	}
	end, err := threadTime()
	got.cpu = end - start
	return got, err
}
