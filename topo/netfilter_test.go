package topo_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/topo"
)

// A log records what a watch sees.
type log struct {
	*topo.NetfilterWatch
	mu   sync.Mutex
	hops []topo.NetfilterHop
}

// watch watches netfilter on a machine for the length of a test.
func watch(t testing.TB, m *topo.Machine) *log {
	t.Helper()
	log := &log{}
	w, err := m.WatchNetfilter(func(h topo.NetfilterHop) {
		log.mu.Lock()
		defer log.mu.Unlock()
		log.hops = append(log.hops, h)
	})
	require.NoError(t, err)
	log.NetfilterWatch = w
	return log
}

// way returns the hops of packets that hold a text: "mangle FORWARD in=lxc-web out=eth0".
func (log *log) way(t testing.TB, text string) (way []string) {
	t.Helper()
	require.NoError(t, log.Sync(context.Background()))
	log.mu.Lock()
	defer log.mu.Unlock()
	for _, h := range log.hops {
		if strings.Contains(string(h.Packet), text) {
			way = append(way, h.Table+" "+h.Chain+" in="+h.In.Name+" out="+h.Out.Name)
		}
	}
	return way
}

func TestNetfilterIsWatched(t *testing.T) {
	t.Parallel()
	network := up(t, topo.Cluster(2))
	node := machine(t, network, "node1")
	log := watch(t, node)
	from, to := machine(t, network, "client-on-node1"), machine(t, network, "web-on-node2")
	for _, family := range families {
		counts, err := log.Counters(family)
		require.NoError(t, err)
		require.Len(t, counts, 17)
		require.Empty(t, positive(counts))

		exchange(t, listen(t, from, ip(from, family)), listen(t, to, ip(to, family)))
		require.Equal(t, []string{
			"raw PREROUTING in=lxc-client out=",
			"mangle PREROUTING in=lxc-client out=",
			"mangle FORWARD in=lxc-client out=eth0",
			"filter FORWARD in=lxc-client out=eth0",
			"security FORWARD in=lxc-client out=eth0",
			"mangle POSTROUTING in=lxc-client out=eth0",
		}, log.way(t, "question"), family)
		require.Equal(t, []string{
			"raw PREROUTING in=eth0 out=",
			"mangle PREROUTING in=eth0 out=",
			"mangle FORWARD in=eth0 out=lxc-client",
			"filter FORWARD in=eth0 out=lxc-client",
			"security FORWARD in=eth0 out=lxc-client",
			"mangle POSTROUTING in=eth0 out=lxc-client",
		}, log.way(t, "answer"), family)

		counts, err = log.Counters(family)
		require.NoError(t, err)
		require.EqualValues(t, 2, counts["filter/FORWARD"])
		log.forget()
	}
	require.Zero(t, log.Lost())
	require.NoError(t, log.Close())
	require.NotContains(t, run(t, node, "iptables-save"), "NFLOG")
	require.NotContains(t, run(t, node, "ip6tables-save"), "NFLOG")
}

// forget empties the log.
func (log *log) forget() {
	log.mu.Lock()
	defer log.mu.Unlock()
	log.hops = nil
}

// positive are the chains that saw packets.
func positive(counts map[string]uint64) []string {
	maps.DeleteFunc(counts, func(_ string, count uint64) bool { return count == 0 })
	return slices.Sorted(maps.Keys(counts))
}

func TestNatIsAskedOncePerTrackedFlow(t *testing.T) {
	t.Parallel()
	network := up(t, topo.Cluster(1))
	node, from := machine(t, network, "node1"), machine(t, network, "client-on-node1")
	log := watch(t, node)
	for _, family := range families {
		require.NoError(t, node.RestoreIptables(context.Background(), family, "*nat\n-A POSTROUTING -o eth0 -j MASQUERADE\nCOMMIT\n"))
		client, server := listen(t, from, ip(from, family)), listen(t, machine(t, network, "web-on-node1"), ip(machine(t, network, "web-on-node1"), family))
		exchange(t, client, server)
		require.Contains(t, log.way(t, "question"), "nat PREROUTING in=lxc-client out=")
		require.Contains(t, log.way(t, "question"), "nat POSTROUTING in=lxc-client out=lxc-web")
		exchange(t, client, server)
		counts, err := log.Counters(family)
		require.NoError(t, err)
		require.EqualValues(t, 4, counts["filter/FORWARD"])
		require.EqualValues(t, 1, counts["nat/PREROUTING"])
		log.forget()
	}
}

func TestRulesBesideTheWatch(t *testing.T) {
	t.Parallel()
	network := up(t, topo.Cluster(1))
	node, client := machine(t, network, "node1"), machine(t, network, "client")
	log := watch(t, node)
	require.NoError(t, node.RestoreIptables(context.Background(), topo.IPv4, "*filter\n-A INPUT -p udp --dport 9 -j DROP\nCOMMIT\n"))
	conn := listen(t, client, client.IPv4())
	exchange(t, conn, listen(t, node, node.IPv4()))
	require.Contains(t, log.way(t, "question"), "filter INPUT in=eth0 out=")

	err := node.RestoreIptables(context.Background(), topo.IPv6, "*filter\n-A NOWHERE -j DROP\nCOMMIT\n")
	require.ErrorContains(t, err, "ip6tables-restore on node1: exit status")
}

func TestMissingTool(t *testing.T) {
	network := up(t, topo.Cluster(1))
	topo.HideTools(t)
	_, err := machine(t, network, "node1").WatchNetfilter(func(topo.NetfilterHop) {})
	require.ErrorContains(t, err, "iptables-restore is not installed: install the package iptables")
}
