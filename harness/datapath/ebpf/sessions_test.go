package ebpf_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/ebpf"
	"github.com/skbench/skbench/harness/feature"
	"github.com/skbench/skbench/topo"
)

func TestSessionsAreToldOfTheRightLabs(t *testing.T) {
	t.Parallel()
	feature.Need(t, feature.EBPFDatapath, feature.EBPFSessions)
	_, err := harness.New(t.Context(), topo.Cluster(1), ebpf.Datapath(ebpf.WithSocketRedirect("web-on-node7")))
	require.ErrorContains(t, err, `there is no pod "web-on-node7"`)

	lab := harness.Start(t, topo.Cluster(1), ebpf.Datapath())
	_, err = ebpf.SessionMetrics(lab)
	require.ErrorContains(t, err, "ebpf follows no sessions: start the lab with")
}
