package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"

	"github.com/cilium/ebpf"
)

// Flow is one entry of conntrack: a flow in one direction, and what becomes of its packets.
type Flow struct {
	Tuple                       // as packets arrive
	To         Tuple            // as they leave
	Reply      bool             // the direction of the answers
	Translated bool             // packets are rewritten; otherwise the flow is only remembered
	Egress     bool             // applies where packets leave the node's stack or the NIC, not where they enter
	Local      bool             // what comes out is for this node
	DSR        bool             // packets go to To.Dst as they are, in another packet; answers do not come by here
	State      State            // of both directions together
	LastSeen   uint64           // ns of CLOCK_MONOTONIC, brought up to date about once a second
	NextHop    net.HardwareAddr // of a reply: where the requests came from; else what the FIB said last; nil: not asked yet
}

// State is where in its life a flow is.
type State uint8

// The states.
const (
	Stateless   = State(hostCtStateCT_STATELESS) // not TCP: there are packets or there are none
	Opening     = State(hostCtStateCT_OPENING)   // who opened it has not yet sent anything that answers an answer
	Established = State(hostCtStateCT_ESTABLISHED)
	HalfClosed  = State(hostCtStateCT_HALF_CLOSED) // FIN from one side
	Closed      = State(hostCtStateCT_CLOSED)      // FIN from both, or RST
	Expired     = State(hostCtStateCT_EXPIRED)     // about to be removed, no packet may use it
)

var stateNames = []string{
	Stateless:   "STATELESS",
	Opening:     "OPENING",
	Established: "ESTABLISHED",
	HalfClosed:  "HALF_CLOSED",
	Closed:      "CLOSED",
	Expired:     "EXPIRED",
}

func (s State) String() string { return nameOf(stateNames, int(s), "State") }

func (f Flow) String() string { return fmt.Sprintf("%s as %s", f.Tuple, f.To) }

// Flows reads all of conntrack, in no order. Entries that come or go meanwhile may be missed.
func (n *Node) Flows() ([]Flow, error) {
	var flows []Flow
	err := n.eachFlow(func(key hostTuple, entry hostCtEntry) error {
		flows = append(flows, entry.flow(key))
		return nil
	})
	return flows, err
}

// DeleteFlows forgets all flows, at once and without a trace: their tuples are free, also for flows that late answers to them
// will then reach.
func (n *Node) DeleteFlows() error {
	err := n.eachFlow(func(key hostTuple, _ hostCtEntry) error {
		if err := n.Maps.CT.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	return n.releaseClaims()
}

// releaseClaims lets every flow have any tuple that no other has.
func (n *Node) releaseClaims() error {
	table := n.maps[hostMapClaims]
	numbers, free := make([]uint32, table.MaxEntries()), make([]hostClaimSet, table.MaxEntries())
	for i := range numbers {
		numbers[i] = uint32(i)
	}
	if _, err := table.BatchUpdate(numbers, free, nil); err != nil {
		return fmt.Errorf("bpf: claims: %w", err)
	}
	return nil
}

// eachFlow visits all of conntrack.
func (n *Node) eachFlow(visit func(hostTuple, hostCtEntry) error) error {
	if err := eachEntry(n.Maps.CT, visit); err != nil {
		return fmt.Errorf("bpf: conntrack: %w", err)
	}
	return nil
}

// eachEntry visits a hash table in batches: unlike an iteration from key to key, that goes on when entries vanish.
func eachEntry[K, V any](table *ebpf.Map, visit func(K, V) error) error {
	const batch = 1024 // more than a bucket of a table ever holds
	keys, values := make([]K, batch), make([]V, batch)
	var cursor ebpf.MapBatchCursor
	for {
		count, err := table.BatchLookup(&cursor, keys, values, nil)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
		for i := range count {
			if err := visit(keys[i], values[i]); err != nil {
				return err
			}
		}
		if err != nil { // that was the last batch
			return nil
		}
	}
}

func (e hostCtEntry) flow(key hostTuple) Flow {
	to := hostTuple{Saddr: e.Saddr, Daddr: e.Daddr, Sport: e.Sport, Dport: e.Dport, Proto: key.Proto}
	f := Flow{
		Tuple:      key.tuple(),
		To:         to.tuple(),
		Reply:      e.Flags&hostCtFlagCT_REPLY != 0,
		Translated: e.Flags&hostCtFlagCT_TRANSLATE != 0,
		Egress:     e.Flags&hostCtFlagCT_EGRESS != 0,
		Local:      e.Flags&hostCtFlagCT_LOCAL != 0,
		DSR:        e.Flags&hostCtFlagCT_ENCAP != 0,
		State:      State(e.State),
		LastSeen:   e.LastSeen,
	}
	if e.NextHop.Whole != 0 {
		f.NextHop = binary.LittleEndian.AppendUint64(nil, e.NextHop.Whole)[:6]
	}
	return f
}
