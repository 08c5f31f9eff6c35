package l4lb_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/l4lb"
	"github.com/skbench/skbench/harness/feature"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

func TestServe(t *testing.T) {
	feature.Need(t, l4lb.Datapath().Needs()...)
	t.Parallel()
	lab := harness.Start(t, topo.Balancers(1, 2), l4lb.Datapath())
	server, other := lab.Host("server1"), lab.Host("server2")
	of := func(targets ...*harness.Machine) []harness.Service {
		s := harness.LoadBalancer(packet.TCPPort(80), topo.ServiceIPv4(1), topo.ServiceIPv6(1), targets...)
		s.Name = "web"
		return []harness.Service{s}
	}
	// own tells whether a server has the service's addresses.
	own := func(m *harness.Machine) bool {
		process, err := m.Sockets()
		require.NoError(t, err)
		for _, addr := range []netip.Addr{topo.ServiceIPv4(1), topo.ServiceIPv6(1)} {
			listener, err := process.Listen(t.Context(), "tcp", netip.AddrPortFrom(addr, 80).String())
			if err != nil {
				return false
			}
			listener.Close()
		}
		return true
	}

	require.NoError(t, lab.Serve(t.Context(), of(server)))
	require.True(t, own(server))
	require.False(t, own(other))
	require.NoError(t, lab.Serve(t.Context(), of(server, other)))
	require.True(t, own(server) && own(other))
	require.NoError(t, lab.Serve(t.Context(), of(other)))
	require.False(t, own(server))

	another := of(server)
	another[0].Backends[0].Port = 8080
	require.ErrorContains(t, lab.Serve(t.Context(), another),
		`service "web" leads from port 80 to port 8080 of server1: servers get packets as they are, so give both the same`)
	require.ErrorContains(t, lab.Serve(t.Context(), of(lab.Node("balancer1"))), "server balancer1: it is no host: the balancer's servers are hosts")
	require.True(t, own(other), "what could not be done changes nothing")
	require.NoError(t, lab.Serve(t.Context(), nil))
	require.False(t, own(other))
	require.Equal(t, []string{"balancer1", "server1", "server2"}, names(lab.Drops(t)))
}

func names(drops map[string]map[string]uint64) []string {
	var names []string
	for _, name := range []string{"balancer1", "server1", "server2"} {
		if drops[name] != nil {
			names = append(names, name)
		}
	}
	return names
}
