package bpf_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness/packet"
)

// TestErrorsOfAnyLength has errors quote packets of every length that their checksum is summed up in another way for.
func TestErrorsOfAnyLength(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, f := range families {
		r.serve(t, bpf.UDP, node1.at(f, 30080))
		for size := range 9 {
			payload := make([]byte, 64+size)
			for i := range payload {
				payload[i] = byte(i + 1)
			}
			udp := packet.UDP{Src: client.at(f, 40000), Dst: node1.at(f, 30080), Payload: payload}
			for _, at := range []hook{r.xdp(), r.fromNetdev()} {
				out := r.run(t, at, wire(t, udp))
				require.Equal(t, bpf.Reject, out.event.Verdict)
				require.NoError(t, packet.VerifyChecksums(out.Packet), "%d bytes at %s", len(payload), at.point)
			}
		}
	}
}
