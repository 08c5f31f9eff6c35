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

// quantiles are those of the transactions of a sample: its distribution.
var quantiles = []struct {
	name string
	of   float64
}{{"p10", 0.10}, {"p50", 0.50}, {"p90", 0.90}, {"p99", 0.99}, {"p99.9", 0.999}}

// middle is the place of the median among the quantiles.
const middle = 1

// transactions are the kinds of them, and how many make a sample of a full run. A sample
// of fewer than 1,000 has no p99.9 but its slowest.
var transactions = []struct {
	name string
	do   func(to netip.AddrPort, n int) ([]time.Duration, error)
	many int
}{
	{"rr", requestResponse, 4000},
	{"crr", connectRequestResponse, 1000},
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
		took := map[*pair][][]float64{}
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
				took[p] = append(took[p], distribution(times))
				return nil
			})
		})
		if err != nil {
			return err
		}
		usual := map[*pair][]float64{} // the slow ones tell little of the machine's speed
		for p := range took {
			usual[p] = column(took[p], middle)
		}
		for i, q := range quantiles {
			for _, p := range pairs {
				r.results.add("latency", p.with("transaction", kind.name, "quantile", q.name), "us", column(took[p], i), floor(pairs, p, usual))
			}
		}
	}
	return nil
}

// distribution is the quantiles of times, in microseconds.
func distribution(times []time.Duration) (of []float64) {
	sorted := make([]float64, len(times))
	for i, t := range times {
		sorted[i] = float64(t.Nanoseconds()) / 1000
	}
	slices.Sort(sorted)
	for _, q := range quantiles {
		of = append(of, stat.Quantile(q.of, stat.Empirical, sorted, nil))
	}
	return of
}

func column(rows [][]float64, i int) (values []float64) {
	for _, row := range rows {
		values = append(values, row[i])
	}
	return values
}

func requestResponse(to netip.AddrPort, n int) ([]time.Duration, error) {
	conn, err := dial(to)
	if err != nil {
		return nil, err
	}
	defer unix.Close(conn)
	message, times := make([]byte, 1), make([]time.Duration, n)
	for range 100 { // warms the caches, and both congestion windows
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
