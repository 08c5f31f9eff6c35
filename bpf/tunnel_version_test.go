package bpf_test

import (
	"testing"

	"github.com/skbench/skbench/bpf"
)

// TestTunnelOfNoVersion has the outer header lie about its version: nothing is taken out of it.
func TestTunnelOfNoVersion(t *testing.T) {
	t.Parallel()
	r := newTunnelRig(t)
	for _, way := range families {
		for _, f := range families {
			data := wire(t, outer(way, f, node2, podA), message(bpf.UDP, client.at(f, 40000), node2.at(f, 30080)))
			data[l3] = data[l3]&0x0f | 0x50
			r.run(t, r.xdp(), data).untouched(t)
			r.run(t, r.fromNetdev(), data).dropped(t, bpf.Invalid)
		}
	}
}
