package harness

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/skbench/skbench/topo"
)

// watchNetfilter puts counting rules into every chain of every node, and records
// what they report as hops.
func (c *core) watchNetfilter() error {
	nodes := c.network.Topology().Nodes
	watches := make([]*topo.NetfilterWatch, len(nodes))
	var group errgroup.Group
	for i, node := range nodes {
		machine, _ := c.network.Machine(node.Name)
		group.Go(func() (err error) {
			watches[i], err = machine.WatchNetfilter(func(h topo.NetfilterHop) { c.recording.addHop(filtered(h)) })
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	c.watches = map[string]*topo.NetfilterWatch{}
	for i, node := range nodes {
		c.watches[node.Name] = watches[i]
	}
	return nil
}

// filtered makes the hop of a packet that netfilter saw. An Ethernet header is put
// in front, without addresses, so that the hop's data is a frame like any other's.
func filtered(h topo.NetfilterHop) Hop {
	frame := make([]byte, 14, 14+len(h.Packet))
	frame[12], frame[13] = 0x08, 0x00
	if h.Family == topo.IPv6 {
		frame[12], frame[13] = 0x86, 0xdd
	}
	return Hop{
		Time: h.Time, Machine: h.Machine, At: "netfilter", Detail: h.Table + " " + h.Chain,
		Data: append(frame, h.Packet...),
	}
}

// Netfilter returns how many packets of both families reached each chain of the
// node's netfilter: "mangle FORWARD" → packets. Chains that saw none are there. In
// the nat table that is the first packet of each flow.
func (m *Machine) Netfilter(t testing.TB) map[string]uint64 {
	t.Helper()
	if m.err != nil {
		t.Fatal(m.err)
	}
	watch, ok := m.lab.watches[m.name]
	if !ok {
		t.Fatalf("netfilter of %s is not observed in this lab: only nodes are, and none with harness.Unobserved", m.name)
	}
	packets := map[string]uint64{}
	for _, family := range []topo.Family{topo.IPv4, topo.IPv6} {
		counters, err := watch.Counters(family)
		if err != nil {
			t.Fatal(fmt.Errorf("count what netfilter of %s saw: %w", m.name, err))
		}
		for chain, n := range counters {
			packets[strings.ReplaceAll(chain, "/", " ")] += n
		}
	}
	return packets
}
