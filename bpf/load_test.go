package bpf_test

import (
	"net"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
)

func TestLoad(t *testing.T) {
	node, err := bpf.Load(bpf.Config{
		IPv4:   netip.MustParseAddr("172.16.0.1"),
		NIC:    1,
		NICMAC: net.HardwareAddr{2, 1, 0, 0, 0, 1},
	}, bpf.Options{})
	require.NoError(t, err)
	defer node.Close()
	require.NoError(t, node.PutService(bpf.Service{Frontend: bpf.Frontend{Addr: netip.MustParseAddrPort("10.96.0.1:80"), Protocol: bpf.TCP}, Backends: []netip.AddrPort{netip.MustParseAddrPort("10.0.1.1:80")}}))
	require.NoError(t, node.PutPrefix(netip.MustParsePrefix("10.0.0.0/8"), bpf.EntityPod))
}

func TestInsns(t *testing.T) {
	for range 2 {
		node, err := bpf.Load(bpf.Config{
			IPv4:   netip.MustParseAddr("172.16.0.1"),
			NIC:    1,
			NICMAC: net.HardwareAddr{2, 1, 0, 0, 0, 1},
			Trace:  true,
		}, bpf.Options{})
		require.NoError(t, err)
		defer node.Close()
		for name, p := range map[string]*ebpf.Program{"xdp": node.Programs.XDPEntry, "from_netdev": node.Programs.FromNetdev, "to_netdev": node.Programs.ToNetdev, "from_container": node.Programs.FromContainer, "to_container": node.Programs.ToContainer} {
			info, err := p.Info()
			require.NoError(t, err)
			n, _ := info.VerifiedInstructions()
			sz, _ := info.TranslatedSize()
			t.Log(name, n, sz/8)
		}
	}
}
