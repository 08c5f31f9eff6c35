package bpf

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Timeouts are how long a flow may be idle in both directions before it is removed.
type Timeouts struct {
	Opening, Established, HalfClosed, Closed time.Duration // of TCP, by State
	UDP, ICMP                                time.Duration
}

// DefaultTimeouts are the least that translators of addresses may have: RFC 5382, REQ-5, RFC 4787, REQ-5, RFC 5508, REQ-1.
// A closed connection is kept for its last packets only.
var DefaultTimeouts = Timeouts{
	Opening:     4 * time.Minute,
	Established: 2*time.Hour + 4*time.Minute,
	HalfClosed:  4 * time.Minute,
	Closed:      10 * time.Second,
	UDP:         2 * time.Minute,
	ICMP:        time.Minute,
}

// Of is how long a flow may be idle.
func (t Timeouts) Of(f Flow) time.Duration { return t.of(f.State, f.Protocol) }

func (t Timeouts) of(s State, p Protocol) time.Duration {
	switch {
	case s == Opening:
		return t.Opening
	case s == Established:
		return t.Established
	case s == HalfClosed:
		return t.HalfClosed
	case s == Closed:
		return t.Closed
	case p == UDP:
		return t.UDP
	}
	return t.ICMP
}

// idleFlow is struct ct_idle.
type idleFlow struct {
	key   hostTuple
	since uint64 // ns of CLOCK_MONOTONIC
}

// idleMost is CT_IDLE_MAX.
const idleMost = 64

// ExpireFlows removes the flows that were idle for longer than that, both directions together, and returns how many entries
// of conntrack it removed. A flow that is used meanwhile stays; a packet that arrives in the very moment in which its flow,
// idle until then, is removed is dropped.
//
// Timeouts below a few seconds end flows that are in use: LastSeen is not brought up to date with every packet.
func (n *Node) ExpireFlows(t Timeouts) (removed int, err error) {
	now, err := monotonic()
	if err != nil {
		return 0, err
	}
	return n.expireFlows(t, now)
}

// expireFlows does so at that time.
func (n *Node) expireFlows(t Timeouts, now uint64) (removed int, err error) {
	var idle []idleFlow
	expire := func() error {
		gone, err := n.expire(idle)
		removed += gone
		idle = idle[:0]
		return err
	}
	err = n.eachFlow(func(key hostTuple, entry hostCtEntry) error {
		since := now - min(now, uint64(t.of(State(entry.State), Protocol(key.Proto))))
		if entry.LastSeen > since {
			return nil
		}
		idle = append(idle, idleFlow{key, since})
		if len(idle) < idleMost {
			return nil
		}
		return expire()
	})
	if err != nil {
		return removed, err
	}
	return removed, expire()
}

// expire has the kernel remove flows that are still idle. User space could not look at an entry and remove it in one step.
func (n *Node) expire(idle []idleFlow) (removed int, err error) {
	if len(idle) == 0 {
		return 0, nil
	}
	program := n.programs[ctProgCtExpire]
	if program == nil {
		return 0, errors.New("bpf: remove idle flows: the node was loaded with OnlyXDP, and has none")
	}
	list := unsafe.Slice((*byte)(unsafe.Pointer(&idle[0])), len(idle)*int(unsafe.Sizeof(idle[0])))
	count, err := program.Run(&ebpf.RunOptions{Data: list})
	if err != nil {
		return 0, fmt.Errorf("bpf: remove idle flows: %w", err)
	}
	return int(count), nil
}

// monotonic is the time as programs tell it.
func monotonic() (uint64, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0, fmt.Errorf("bpf: read the clock: %w", err)
	}
	return uint64(now.Nano()), nil
}
