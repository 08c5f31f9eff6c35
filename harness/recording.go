package harness

import (
	"context"
	"slices"
	"sync"

	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// recording keeps all that was seen in a lab, in the order of arrival, and lets
// others wait for more.
type recording struct {
	mu     sync.Mutex
	grew   chan struct{} // closed, and replaced, when something is added
	frames []topo.Frame
	hops   map[uint64][]Hop // by the packet's cookie; hops without one are not kept
}

func newRecording() *recording {
	return &recording{grew: make(chan struct{}), hops: map[uint64][]Hop{}}
}

func (r *recording) addFrame(f topo.Frame) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.frames = append(r.frames, f)
	r.addLocked(captured(f))
}

func (r *recording) addHop(h Hop) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.addLocked(h)
}

func (r *recording) addLocked(h Hop) {
	if cookie, ok := packet.FindCookie(h.Data); ok {
		r.hops[cookie] = append(r.hops[cookie], h)
	}
	close(r.grew)
	r.grew = make(chan struct{})
}

// hopsOf returns the hops of one packet so far, in the order of time. Captures,
// programs and netfilter report on ways of their own, so arrival is not order.
func (r *recording) hopsOf(cookie uint64) []Hop {
	r.mu.Lock()
	defer r.mu.Unlock()
	hops := slices.Clone(r.hops[cookie])
	slices.SortStableFunc(hops, func(a, b Hop) int {
		switch {
		case a.Time < b.Time:
			return -1
		case a.Time > b.Time:
			return 1
		}
		return 0
	})
	return hops
}

// framesSince returns the frames from index first on, and a channel that is
// closed when there are more.
func (r *recording) framesSince(first int) (frames []topo.Frame, more <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.frames[first:len(r.frames):len(r.frames)], r.grew
}

// await returns nil once done says so, asking again whenever the recording grew,
// or the context's error.
func (r *recording) await(ctx context.Context, done func() bool) error {
	for {
		r.mu.Lock()
		grew := r.grew
		r.mu.Unlock()
		if done() {
			return nil
		}
		select {
		case <-grew:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
