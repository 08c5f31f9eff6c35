package bpf

import "fmt"

// Metric is how many packets and bytes, or calls on sockets, one program treated in one way.
type Metric struct {
	Point          Point
	Verdict        Verdict
	Reason         DropReason // when Verdict is Drop
	Packets, Bytes uint64
}

// The rows of the map metrics: see lib/trace.h.
const (
	metricSlots = 64
	metricEarly = 14
	metricLost  = 15
	metricDrops = 16
)

// Metrics returns what is not zero, summed over the CPUs.
func (n *Node) Metrics() ([]Metric, error) {
	var metrics []Metric
	err := n.eachMetric(func(point, slot int, packets, bytes uint64) {
		m := Metric{Point: Point(point), Verdict: Verdict(slot), Packets: packets, Bytes: bytes}
		switch {
		case slot == metricLost, slot == metricEarly:
			return
		case slot >= metricDrops:
			m.Verdict, m.Reason = Drop, DropReason(slot-metricDrops)
		}
		metrics = append(metrics, m)
	})
	return metrics, err
}

// Drops returns how many packets were dropped, by the name of the reason.
func (n *Node) Drops() (map[string]uint64, error) {
	metrics, err := n.Metrics()
	drops := map[string]uint64{}
	for _, m := range metrics {
		if m.Verdict == Drop {
			drops[m.Reason.String()] += m.Packets
		}
	}
	return drops, err
}

// LostEvents returns how many events found the ring buffer full.
func (n *Node) LostEvents() (uint64, error) { return n.countOf(metricLost) }

// EarlyFragments returns how many fragments came to the node before the first of their datagram, so that nothing could tell
// whether they are for a service: the node's stack has them.
func (n *Node) EarlyFragments() (uint64, error) { return n.countOf(metricEarly) }

// countOf is how many packets all programs have counted in one slot.
func (n *Node) countOf(wanted int) (count uint64, err error) {
	err = n.eachMetric(func(_, slot int, packets, _ uint64) {
		if slot == wanted {
			count += packets
		}
	})
	return count, err
}

func (n *Node) eachMetric(visit func(point, slot int, packets, bytes uint64)) error {
	var key uint32
	var perCPU []hostMetric
	entries := n.Maps.Metrics.Iterate()
	for entries.Next(&key, &perCPU) {
		var packets, bytes uint64
		for _, m := range perCPU {
			packets += m.Packets
			bytes += m.Bytes
		}
		if packets != 0 {
			visit(int(key)/metricSlots, int(key)%metricSlots, packets, bytes)
		}
	}
	if err := entries.Err(); err != nil {
		return fmt.Errorf("bpf: metrics: %w", err)
	}
	return nil
}
