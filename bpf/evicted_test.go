package bpf_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
)

// TestEvictedTupleStaysAnothers has two flows lose their reply halves one after the other. The second has the only port, as its claim says,
// though no entry does: the first must not make its half again with it.
func TestEvictedTupleStaysAnothers(t *testing.T) {
	t.Parallel()
	r := newRig(t, onePort)
	eachFlow(t, balanced, func(t *testing.T, f family, p bpf.Protocol) {
		require.NoError(t, r.DeleteFlows())
		r.serve(t, p, node1.at(f, 30080), remote.at(f, 80))
		request := func(from machine) bpf.Tuple {
			return bpf.Tuple{Src: from.at(f, 40000), Dst: node1.at(f, 30080), Protocol: p}
		}
		answers := bpf.Tuple{Src: remote.at(f, 80), Dst: node1.at(f, 50000), Protocol: p}
		send := func(from machine) outcome {
			return r.offer(t, r.xdp(), from, node1, message(p, from.at(f, 40000), node1.at(f, 30080)))
		}
		require.Equal(t, node1.at(f, 50000), send(client).Src())
		require.NoError(t, r.EvictFlow(answers))
		require.NoError(t, r.AgeClaims(claimLasts))
		require.Equal(t, node1.at(f, 50000), send(silent).Src())
		require.NoError(t, r.EvictFlow(answers))

		require.NoError(t, r.AgeFlow(request(client)))
		send(client).dropped(t, bpf.SNATNoPort)
		require.NoError(t, r.AgeFlow(request(silent)))
		require.Equal(t, node1.at(f, 50000), send(silent).Src(), "the second has its port still")
		require.Len(t, r.checkFlows(t), 2, "both halves of it, and nothing of the first")
	})
}
