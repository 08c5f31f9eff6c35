package bpf_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
)

// TestFragmentsOfTheNodesAnswer has the node's own stack, which is a service's backend, answer a pod in fragments: each leaves with the
// service's address.
func TestFragmentsOfTheNodesAnswer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, f := range families {
		r.serve(t, bpf.UDP, world.at(f, 53), node1.at(f, 40000))
		r.send(t, r.fromA(), podA, lxcA, message(bpf.UDP, podA.at(f, 5000), world.at(f, 53))).is(t, bpf.Pass, 0)
		for _, first := range []bool{true, false} {
			out := r.fragment(t, r.toA(0), lxcA, podA, fragmentOf(f, first, node1, podA, 5000))
			out.is(t, bpf.Pass, 0)
			require.Equal(t, world.addr(f), out.Src().Addr(), "first: %t: %s", first, out.Packet)
		}
	}
}
