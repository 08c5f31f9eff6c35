package reports

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProfile(t *testing.T) {
	t.Parallel()
	p := parseProfile([]byte(`swapper     0 [001] 1.0: 1 cpu-clock:
	ffffffff81000000 idle+0x1 ([kernel.kallsyms])

ksoftirqd/1 20 [001] 1.1: 1 cpu-clock:
	ffffffff81000001 nf_hook_slow+0x1 ([kernel.kallsyms])
	ffffffff81000002 net_rx_action+0x1 ([kernel.kallsyms])
	ffffffff81000003 run+0x1 ([kernel.kallsyms])

ksoftirqd/1 20 [001] 1.2: 1 cpu-clock:
	ffffffffc0000001 bpf_prog_6deef7357e7b4530_xdp_entry+0x12 (bpf_prog_6deef7357e7b4530_xdp_entry)
	ffffffff81000002 net_rx_action+0x5 ([kernel.kallsyms])
	ffffffff81000003 run+0x1 ([kernel.kallsyms])
	               0 [unknown] ([unknown])

ksoftirqd/1 20 [001] 1.3: 1 cpu-clock:
	ffffffff81000002 net_rx_action+0x9 ([kernel.kallsyms])
	ffffffff81000003 run+0x1 ([kernel.kallsyms])

`))
	require.Equal(t, "net_rx_action", p.root.name, "what every sample has is left out, and so is the idle CPU")
	require.Equal(t, 3, p.root.samples)
	require.Equal(t, []string{"BPF xdp_entry 33.3 %", "net_rx_action 33.3 %", "nf_hook_slow 33.3 %"}, p.hottest(5))
}

func TestFlameGraph(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/profile.perf")
	require.NoError(t, err)
	svg, err := svgOf("profile", parseProfile(text))
	require.NoError(t, err)
	requireXML(t, svg)
	require.Contains(t, string(svg), "veth_xdp_rcv")
	require.Equal(t, string(golden(t, "profile_golden.svg", svg)), string(svg))
}
