package topo_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/topo"
)

// A client keeps its server by the kernel's memory of their flow alone, until that is deleted: then rules written since decide.
func TestFlowsAreDeleted(t *testing.T) {
	t.Parallel()
	network := up(t, topo.Cluster(1))
	node, client := machine(t, network, "node1"), machine(t, network, "client-on-node1")
	web := machine(t, network, "web-on-node1")
	for _, family := range families {
		first, second := listen(t, web, ip(web, family)), listen(t, web, ip(web, family))
		service := netip.AddrPortFrom(netip.MustParseAddr("198.51.100.1"), 53)
		if family == topo.IPv6 {
			service = netip.AddrPortFrom(netip.MustParseAddr("2001:db8::1"), 53)
		}
		lead := func(to netip.AddrPort) {
			t.Helper()
			require.NoError(t, node.RestoreIptables(context.Background(), family, fmt.Sprintf(
				"*nat\n-F PREROUTING\n-A PREROUTING -d %s -p udp --dport %d -j DNAT --to-destination %s\nCOMMIT\n",
				service.Addr(), service.Port(), to)))
		}
		from := listen(t, client, ip(client, family))
		send := func() {
			t.Helper()
			_, err := from.WriteToUDPAddrPort([]byte("question"), service)
			require.NoError(t, err)
		}

		lead(addrPort(first))
		send()
		_, _ = receive(t, first)
		lead(addrPort(second))
		send()
		_, _ = receive(t, first) // the flow is remembered

		var deleted []topo.Flow
		require.NoError(t, node.DeleteFlows(family, func(f topo.Flow) bool {
			if f.Dst == service {
				deleted = append(deleted, f)
			}
			return f.Dst == service
		}))
		require.Equal(t, []topo.Flow{{
			Protocol: unix.IPPROTO_UDP, Src: addrPort(from), Dst: service, ReplySrc: addrPort(first), ReplyDst: addrPort(from),
		}}, deleted)
		send()
		_, _ = receive(t, second)
	}
}

func TestSaveIptablesCounts(t *testing.T) {
	t.Parallel()
	network := up(t, topo.Cluster(1))
	node, client, web := machine(t, network, "node1"), machine(t, network, "client-on-node1"), machine(t, network, "web-on-node1")
	for _, family := range families {
		require.NoError(t, node.RestoreIptables(context.Background(), family, "*filter\n:COUNTED - [0:0]\n-A COUNTED -j RETURN\n-A FORWARD -p udp -j COUNTED\nCOMMIT\n"))
		exchange(t, listen(t, client, ip(client, family)), listen(t, web, ip(web, family)))
		saved, err := node.SaveIptables(context.Background(), family, "filter")
		require.NoError(t, err)
		require.Regexp(t, `(?m)^\[2:\d+\] -A COUNTED -j RETURN$`, saved)
	}
}
