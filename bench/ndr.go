package bench

import (
	"context"
	"slices"
	"time"
)

// ndrResolution is the part of a rate within which the search for the highest one without
// loss ends.
const ndrResolution = 0.01

// lossFree measures the highest rate at which no frame is lost ("ndr", packets/s), in the
// split mode. It searches as RFC 2544 (26.1) does, between nothing and the rate at which
// the generator can send; trials are shorter than the RFC's 60 s by far.
func (r *run) lossFree(ctx context.Context) error {
	return r.splitSides(ctx, "ndr", func(sides []*side) error {
		rates := map[*side][]float64{}
		few := r.plan // each is a whole search
		few.rounds = max(1, few.rounds/8)
		err := few.interleave(sides, "loss-free rate", func(s *side) error {
			most, err := s.wire.saturate(ctx, r.trial)
			if err != nil {
				return err
			}
			rate, err := highest(float64(most.Sent)/most.wall.Seconds(), func(rate float64) (float64, bool, error) {
				got, err := s.wire.pace(ctx, rate, r.trial)
				return float64(got.Sent) / got.wall.Seconds(), got.loss() == nil, err
			})
			rates[s] = append(rates[s], rate)
			return err
		})
		if err != nil {
			return err
		}
		empty := rates[sides[0]]
		if slices.Min(empty) == 0 { // then nothing is a multiple of it
			empty = nil
		}
		r.results.add("ndr", sides[0].params, "packets/s", rates[sides[0]], nil)
		for _, s := range sides[1:] {
			r.results.add("ndr", s.params, "packets/s", rates[s], empty)
		}
		return nil
	})
}

// highest finds by binary search the highest rate below most that a trial passes, and
// returns the rate at which that trial really sent. 0: it passed none.
func highest(most float64, trial func(rate float64) (sent float64, passed bool, err error)) (best float64, err error) {
	low, high := 0.0, most
	for high-low > ndrResolution*high && high > 1 {
		rate := (low + high) / 2
		sent, passed, err := trial(rate)
		if err != nil {
			return 0, err
		}
		if passed {
			low, best = rate, max(best, sent)
		} else {
			high = rate
		}
	}
	return best, nil
}

// gap is what a rate leaves between the bursts of a paced run.
func gap(perSecond float64, burst int) time.Duration {
	return time.Duration(float64(burst) / perSecond * float64(time.Second))
}
