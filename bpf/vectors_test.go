package bpf_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness/vector"
)

// What `make mutants` finds to survive all tests of this package, and why:
//
//   - lib/next_hop.h, fits at 0xffff; lib/affinity.h, last_flow at the nanosecond of the timeout; lib/ctx_skb.h, keep at CTX_KEEP_MAX, and
//     lib/ctx_xdp.h, last at CTX_COPY_MAX, which only the verifier asks for; lib/answer.h, ANSWER_BLOCK / 4, which what is left of a block is
//     below; lib/sock.h, known in sock_remember, which saves writing what is there; lib/endpoint.h, barrier_var, which is for the verifier;
//     lib/flow.h, an attempt more: the same either way, or as good as;
//   - lib/service.h, the number that is read again; lib/affinity.h, -EEXIST and BPF_NOEXIST; lib/flow.h and lib/tuple.h, the winner and the
//     free tuple: another CPU has to come between two lines, which one run of a program cannot have;
//   - lib/ctx_skb.h, BPF_F_RECOMPUTE_CSUM: what is reframed leaves by a NIC, where nobody asks for the sum of all bytes that it came with;
//   - lib/peer.h, queued of 0: Linux before 6.13. There, and by the limit that is compared with, a message that could go from socket to socket
//     goes through the stack: it arrives the same;
//   - lib/bypass.h, CT_LOCAL of an answer to a pod: asked for once the pod is gone, when nobody takes the answer either way;
//   - lib/dsr.h, ct_undoes beside an entry that is there: it needs the other direction's tuple to be of another flow while a tunnel's sender
//     changes, and is a gap.

// The suites of testdata say what the programs do packet by packet, with every map as it lies in the kernel. What takes more
// than fields to say is in the other tests of this package.
func TestVectors(t *testing.T) {
	for _, name := range []string{"xdp", "host", "lxc"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			suites, err := vector.ReadFile("testdata/" + name + ".yaml")
			require.NoError(t, err)
			for _, suite := range suites {
				if file := objectFile(filepath.Base(suite.Object)); *objectsIn != "" {
					suite.Object, err = filepath.Abs(file)
					require.NoError(t, err)
				}
				// Live, too: what is sent over the wire to the attached programs meets the same end.
				options := vectorOptions
				options.Live = true
				options.RunSuite(t, suite)
			}
		})
	}
}
