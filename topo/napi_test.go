package topo_test

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/topo"
)

// A node on a cable receives by GRO, so it can have a thread for it, and only in its own namespace does the device change.
func TestDevicesReceiveInAThread(t *testing.T) {
	t.Parallel()
	network, err := topo.Up(t.Context(), topo.Wire())
	require.NoError(t, err)
	defer network.Close()
	node, _ := network.Machine("lb")
	thread, err := node.ThreadNAPI(topo.NIC)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("Linux tells the threads of devices since 6.8: ", err)
	}
	require.NoError(t, err)
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", thread))
	require.NoError(t, err)
	require.Contains(t, string(name), "napi/eth0")

	again, err := node.ThreadNAPI(topo.NIC)
	require.NoError(t, err)
	require.Equal(t, thread, again)

	_, err = node.ThreadNAPI("eth7")
	require.ErrorContains(t, err, `no device "eth7"`)

	pods, err := topo.Up(t.Context(), topo.Cluster(1))
	require.NoError(t, err)
	defer pods.Close()
	pod, _ := pods.Machine("web-on-node1")
	_, err = pod.ThreadNAPI(topo.NIC)
	require.ErrorContains(t, err, "give the device an XDP program or GRO first")
}
