package bpf_test

import (
	"bytes"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
)

// tinyMaps are quick to read as a whole.
var tinyMaps = bpf.MapSizes{
	Flows: 64, Claims: 16, Datagrams: 64, Services: 16, Slots: 16, Backends: 16, Clients: 16, Sockets: 16, Sources: 16, Pods: 4,
	Prefixes: 16, Directs: 16, EventBytes: 1 << 16,
}

// newStillRig is a rig for packets that must leave no trace: it has services, and flows that a look would bring up to date.
func newStillRig(t testing.TB) *rig {
	t.Helper()
	r := newRigOf(t, tinyMaps)
	for _, f := range families {
		for _, p := range protocols {
			to := node1.at(f, 30080)
			if p == bpf.ICMP {
				to = podA.at(f, 0)
			} else {
				r.serve(t, p, to, remote.at(f, 80))
			}
			r.send(t, r.fromNetdev(), client, node1, message(p, client.at(f, 40000), to))
		}
	}
	for tuple := range r.checkFlows(t) {
		require.NoError(t, r.AgeFlow(tuple))
	}
	r.still(t)
	return r
}

// still takes note of what all maps hold, for unchanged.
func (r *rig) still(t testing.TB) {
	t.Helper()
	r.memory = map[string]string{}
	for name, table := range r.State() {
		r.memory[name] = dump(t, table)
	}
}

// unchanged fails the test unless all maps hold what they held when still was called.
func (r *rig) unchanged(t testing.TB) {
	t.Helper()
	require.NotEmpty(t, r.memory, "call still first")
	for name, table := range r.State() {
		require.True(t, r.memory[name] == dump(t, table), "the packet has changed the map %s", name)
	}
}

// dump is all of a map, in its own order.
func dump(t testing.TB, table *ebpf.Map) string {
	t.Helper()
	var all bytes.Buffer
	var key, value []byte
	var perCPU [][]byte
	var into any = &value
	if table.Type() == ebpf.PerCPUArray {
		into = &perCPU
	}
	entries := table.Iterate()
	for entries.Next(&key, into) {
		all.Write(key)
		all.Write(value)
		all.Write(bytes.Join(perCPU, nil))
	}
	require.NoError(t, entries.Err(), "%s", table)
	return all.String()
}
