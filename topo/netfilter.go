package topo

import (
	"context"
	"errors"
)

// A NetfilterHop is one sighting of a packet at the head of a netfilter chain.
type NetfilterHop struct {
	Time         uint64 // when it was read, nanoseconds of CLOCK_MONOTONIC: somewhat after the packet was there
	Machine      string
	Family       Family
	Table, Chain string // "mangle", "FORWARD"
	In, Out      Device // zero where the chain has none
	Packet       []byte // from the IP header on
}

// A NetfilterWatch logs and counts every packet at the head of every builtin chain of every table, in both families. In
// the nat table that is the first packet of a flow only: the kernel asks it no more.
type NetfilterWatch struct{}

// WatchNetfilter begins to watch the machine's netfilter. Hops are delivered one at a time from a single goroutine. Rules loaded
// later must leave those of the watch in place (iptables-restore --noflush).
func (m *Machine) WatchNetfilter(deliver func(NetfilterHop)) (*NetfilterWatch, error) {
	return nil, errors.ErrUnsupported
}

// Sync returns when every hop of before the call has been delivered. It must not be called by deliver.
func (w *NetfilterWatch) Sync(ctx context.Context) error { return errors.ErrUnsupported }

// Counters returns how many packets reached each chain, by table and chain: "mangle/FORWARD". Chains that saw none are
// there with 0.
func (w *NetfilterWatch) Counters(f Family) (map[string]uint64, error) {
	return nil, errors.ErrUnsupported
}

// Lost tells how many times the kernel dropped hops because deliver was too slow.
func (w *NetfilterWatch) Lost() uint64 { return 0 }

// Close removes the rules of the watch and ends it.
func (w *NetfilterWatch) Close() error { return errors.ErrUnsupported }
