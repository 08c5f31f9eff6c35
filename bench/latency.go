package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
	"gonum.org/v1/gonum/stat"
)

// quantiles are those of the transactions of a sample: its distribution. The slow ones of a
// tail are too few in one sample, and taken from all of a lap.
var quantiles = []struct {
	name string
	of   float64
	tail bool
}{{"p10", 0.10, false}, {"p50", 0.50, false}, {"p90", 0.90, false}, {"p99", 0.99, true}, {"p99.9", 0.999, true}}

const fewSlower = 2 // transactions, of which a quantile says no more than they do themselves

// transactions are the kinds of them, and how many make a sample of a full run.
var transactions = []struct {
	name string
	do   func(to netip.AddrPort, n int) ([]time.Duration, error)
	many int
}{
	{"rr", requestResponse, 400},
	{"crr", connectRequestResponse, 320},
}

// latency measures how long transactions over TCP take between two pods ("latency", us):
// request and response on one connection (rr), and with connecting and closing (crr).
// Client and server share a CPU.
func (r *run) latency(ctx context.Context) (err error) {
	pairs, err := r.bringUpPairs(ctx, "latency", false, echo)
	defer func() { err = errors.Join(err, closeAll(pairs)) }()
	if err != nil {
		return err
	}
	for _, kind := range transactions {
		many := max(1, kind.many/r.fewer)
		took := map[*pair][][]time.Duration{}
		err := interleave(r.plan, pairs, "latency, "+kind.name, func(p *pair) string { return p.name }, func(p *pair) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return p.client.Do(func() error {
				if err := pin(r.cpu); err != nil {
					return err
				}
				times, err := kind.do(p.at(), many)
				if err != nil {
					return fmt.Errorf("%s: %w", p.name, err)
				}
				took[p] = append(took[p], times)
				return nil
			})
		})
		if err != nil {
			return err
		}
		for _, q := range quantiles {
			together := 1
			if q.tail {
				together = r.rounds
			}
			if n := many * together; float64(n)*(1-q.of) < fewSlower-0.5 {
				r.results.lacks("latency", map[string]string{"transaction": kind.name, "quantile": q.name},
					fmt.Sprintf("of %d transactions in a row, %s is hardly more than the slowest: a full run has more of them", n, q.name))
				continue
			}
			// What disturbs the machine makes some transactions slower and leaves others as they are, so
			// each quantile is held against the same one of the floor.
			times := map[*pair][]float64{}
			for p := range took {
				times[p] = each(took[p], together, q.of)
			}
			for _, p := range pairs {
				r.results.add("latency", p.with("transaction", kind.name, "quantile", q.name), "us", times[p], floor(pairs, p, times))
			}
		}
	}
	return nil
}

// each is a quantile of the transactions of so many samples together, in microseconds.
func each(samples [][]time.Duration, together int, q float64) (all []float64) {
	for some := range slices.Chunk(samples, together) {
		var sorted []float64
		for _, t := range slices.Concat(some...) {
			sorted = append(sorted, float64(t.Nanoseconds())/1000)
		}
		slices.Sort(sorted)
		all = append(all, stat.Quantile(q, stat.Empirical, sorted, nil))
	}
	return all
}

func requestResponse(to netip.AddrPort, n int) ([]time.Duration, error) {
	conn, err := dial(to)
	if err != nil {
		return nil, err
	}
	defer unix.Close(conn)
	message, times := make([]byte, 1), make([]time.Duration, n)
	for range 20 { // warms the caches, and both congestion windows
		if err := exchange(conn, message); err != nil {
			return nil, err
		}
	}
	for i := range times {
		start := time.Now()
		if err := exchange(conn, message); err != nil {
			return nil, err
		}
		times[i] = time.Since(start)
	}
	return times, nil
}

func connectRequestResponse(to netip.AddrPort, n int) ([]time.Duration, error) {
	message, times := make([]byte, 1), make([]time.Duration, n)
	for i := range times {
		start := time.Now()
		conn, err := dial(to)
		if err != nil {
			return nil, err
		}
		err = exchange(conn, message)
		unix.Close(conn)
		if err != nil {
			return nil, err
		}
		times[i] = time.Since(start)
	}
	return times, nil
}
