package topo

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEncryptedTopology holds what follows from a topology with encryption, without asking the kernel, which may have none.
func TestEncryptedTopology(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		by    Encryption
		name  string
		route route // of node1 to the pods of node2
	}{
		{NoEncryption, "no encryption", route{prefix: PodsIPv4(2), via: []netip.Addr{NodeIPv4(2)}}},
		{IPsec, "IPsec", route{prefix: PodsIPv4(2), via: []netip.Addr{NodeIPv4(2)}}},
		{WireGuard, "WireGuard", route{prefix: PodsIPv4(2), source: NodeIPv4(1)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			require.Equal(t, test.name, test.by.String())
			n := newNetwork(Cluster(2).Encrypted(test.by))
			node := n.byName["node1"]
			test.route.device = node.nic()
			if test.by == WireGuard {
				device, err := node.Device(WireGuardDevice)
				require.NoError(t, err)
				found, ok := n.Device(device.Index)
				require.True(t, ok && found.String() == "node1/wg0", "its index is its own in the whole network")
				test.route.device = device
			}
			require.Contains(t, node.routes, test.route)
			_, err := n.byName["client"].Device(WireGuardDevice)
			require.Error(t, err, "only nodes encrypt")
		})
	}
}

// TestFramesWithoutEthernet come from a WireGuard device, and look like all others.
func TestFramesWithoutEthernet(t *testing.T) {
	t.Parallel()
	require.Equal(t, "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x08\x00", string(ethernetFor([]byte{0x45})))
	require.Equal(t, "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x86\xdd", string(ethernetFor([]byte{0x60})))
}
