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

	// received are the packets that came in on each machine's NIC; nil in place
	// of one that was taken.
	received map[string][]*packet.Packet
}

func newRecording() *recording {
	return &recording{grew: make(chan struct{}), hops: map[uint64][]Hop{}, received: map[string][]*packet.Packet{}}
}

func (r *recording) addFrame(f topo.Frame) {
	received := f.Direction == topo.In && f.Device.Name == topo.NIC
	var p *packet.Packet
	if received {
		p, _ = packet.Decode(f.Data) // as far as it can be understood: tests may expect broken packets
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.frames = append(r.frames, f)
	if received {
		machine := f.Device.Machine
		r.received[machine] = append(r.received[machine], p)
	}
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

// onDevices tells whether hops of this text, without the place, were seen on devices.
func (r *recording) onDevices(at string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, hops := range r.hops {
		if slices.ContainsFunc(hops, func(h Hop) bool { return h.Device != "" && h.at(at) }) {
			return true
		}
	}
	return false
}

// captured returns all frames so far.
func (r *recording) captured() []topo.Frame {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clip(r.frames)
}

// pending returns the packets that a machine received and that nobody took.
func (r *recording) pending(machine string) []*packet.Packet {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.received[machine]), func(p *packet.Packet) bool { return p == nil })
}

// take takes the first packet, from index on, that a machine received and that
// matches the template: nil if there is none up to index next.
func (r *recording) take(machine string, template packet.Template, from int) (taken *packet.Packet, next int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.received[machine]
	for i := from; i < len(all); i++ {
		if p := all[i]; p != nil && packet.Match(template, p) == nil {
			all[i] = nil
			return p, i + 1
		}
	}
	return nil, len(all)
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
