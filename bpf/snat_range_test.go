package bpf_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
)

// TestPortsAtTheEndsOfTheRange: a source port that is reserved for translation is kept, the first and the last of them too, and no other.
func TestPortsAtTheEndsOfTheRange(t *testing.T) {
	t.Parallel()
	const first, last = 50000, 50063
	r := newRig(t, func(c *bpf.Config) { c.SNATPorts = bpf.PortRange{Min: first, Max: last} })
	eachFlow(t, balanced, func(t *testing.T, f family, p bpf.Protocol) {
		r.serve(t, p, node1.at(f, 30080), remote.at(f, 80))
		for port, kept := range map[uint16]bool{first - 1: false, first: true, last: true, last + 1: false} {
			require.NoError(t, r.DeleteFlows())
			got := r.send(t, r.xdp(), client, node1, message(p, client.at(f, port), node1.at(f, 30080))).Src().Port()
			require.Equal(t, kept, got == port, "%d became %d", port, got)
			require.True(t, first <= got && got <= last, "%d became %d", port, got)
		}
	})
}
