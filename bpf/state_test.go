package bpf_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
)

func TestStateIsChecked(t *testing.T) {
	t.Parallel()
	var node bpf.Node // no map is ever touched
	web := bpf.Frontend{Addr: cluster.at(v4, 80), Protocol: bpf.TCP}
	for want, err := range map[string]error{
		"has no address or port":                node.PutService(bpf.Service{Frontend: bpf.Frontend{Addr: cluster.at(v4, 0), Protocol: bpf.TCP}}),
		"protocol ICMP is not balanced":         node.PutService(bpf.Service{Frontend: bpf.Frontend{Addr: cluster.at(v4, 80), Protocol: bpf.ICMP}}),
		"backend 10.0.1.1:0 has no address or ": node.PutService(bpf.Service{Frontend: web, Backends: at(podA.at(v4, 0))}),
		"is of the other family":                node.PutService(bpf.Service{Frontend: web, Backends: at(podA.at(v6, 80))}),
		"is its own backend":                    node.PutService(bpf.Service{Frontend: web, Backends: at(web.Addr)}),
		"give at most 65535":                    node.PutService(bpf.Service{Frontend: web, Backends: make([]bpf.Backend, 65536)}),
		"MAC: \"\" is no Ethernet address":      node.PutEndpoint(bpf.Endpoint{Device: 3, DeviceMAC: lxcA.mac, IPv4: podA.ipv4}),
		"DeviceMAC: \"\"":                       node.PutEndpoint(bpf.Endpoint{Device: 3, MAC: podA.mac, IPv4: podA.ipv4}),
		"prefix invalid Prefix is none":         node.PutPrefix(netip.Prefix{}, bpf.EntityPod),
	} {
		require.ErrorContains(t, err, want)
	}
}

// TestFullServiceMaps has one table after the other full: the service that does not fit leaves nothing, the others stay.
func TestFullServiceMaps(t *testing.T) {
	t.Parallel()
	for full, sizes := range map[string]bpf.MapSizes{
		"Services": {Services: 1, Slots: 8, Backends: 8, Sources: 8},
		"Slots":    {Services: 8, Slots: 3, Backends: 8, Sources: 8},
		"Backends": {Services: 8, Slots: 8, Backends: 3, Sources: 8},
		"Sources":  {Services: 8, Slots: 8, Backends: 8, Sources: 2},
	} {
		t.Run(full, func(t *testing.T) {
			sizes.Flows, sizes.EventBytes = 64, 4096
			node, err := bpf.Load(goodConfig(), bpf.Options{Sizes: sizes})
			require.NoError(t, err)
			defer node.Close()
			service := func(port uint16) bpf.Service {
				return bpf.Service{
					Frontend: bpf.Frontend{Addr: cluster.at(v4, port), Protocol: bpf.TCP},
					Backends: at(podA.at(v4, port), podB.at(v4, port)),
					Affinity: time.Second,
					Sources:  []netip.Prefix{netip.MustParsePrefix("10.0.1.0/24"), netip.MustParsePrefix("10.0.2.0/24")},
				}
			}
			holds := func(want bpf.Used, why ...any) {
				got, err := node.Used()
				require.NoError(t, err)
				require.Equal(t, want, got, why...)
				require.Len(t, entries[[24]byte, [4]byte](t, node.Maps.Frontends), want.Frontends, why...)
			}
			one := bpf.Used{Frontends: 1, Services: 1, Slots: 2, Backends: 2, Members: 2, Sources: 2}
			require.NoError(t, node.PutService(service(80)))
			holds(one)
			require.ErrorContains(t, node.PutService(service(81)), "larger MapSizes."+full)
			holds(one, "after a service that does not fit")
			require.NoError(t, node.DeleteService(service(80).Frontend))
			require.NoError(t, node.DeleteService(service(80).Frontend), "twice")
			holds(bpf.Used{})
			require.NoError(t, node.PutService(service(81)))
			holds(one)
		})
	}
}

func TestServicesShareBackends(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	uses := func(want bpf.Used) {
		got, err := r.Used()
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for range 2 { // the second time nothing changes
		r.serve(t, bpf.TCP, cluster.at(v4, 80), podA.at(v4, 80), podB.at(v4, 80))
		r.serve(t, bpf.TCP, cluster.at(v4, 81), podA.at(v4, 80))
		r.serve(t, bpf.TCP, cluster.at(v4, 82), podB.at(v4, 80), podA.at(v4, 80))
		uses(bpf.Used{Frontends: 3, Services: 3, Slots: 3, Backends: 2}) // the first and the last have theirs in common
	}
	require.NoError(t, r.DeleteService(bpf.Frontend{Addr: cluster.at(v4, 80), Protocol: bpf.TCP}))
	require.NoError(t, r.DeleteService(bpf.Frontend{Addr: cluster.at(v4, 82), Protocol: bpf.TCP}))
	uses(bpf.Used{Frontends: 1, Services: 1, Slots: 1, Backends: 1})
	require.Equal(t, podA.at(v4, 80), r.send(t, r.fromB(), podB, lxcB, message(bpf.TCP, podB.at(v4, 1), cluster.at(v4, 81))).Dst())
}

func TestEndpointGoes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := bpf.Endpoint{Device: r.lxcA, MAC: podA.mac, DeviceMAC: lxcA.mac, IPv4: podA.ipv4, IPv6: podA.ipv6}
	request := message(bpf.TCP, remote.at(v4, 40000), podA.at(v4, 80))
	r.send(t, r.fromNetdev(), node2, node1, request).is(t, bpf.RedirectPeer, r.lxcA)

	require.NoError(t, r.DeleteEndpoint(a))
	require.NoError(t, r.DeleteEndpoint(a), "twice")
	r.send(t, r.fromNetdev(), node2, node1, request).untouched(t)
	r.send(t, r.fromA(), podA, lxcA, message(bpf.TCP, podA.at(v4, 80), remote.at(v4, 40000))).dropped(t, bpf.NoEndpoint)

	a.IPv6 = netip.Addr{} // a pod of one family
	require.NoError(t, r.PutEndpoint(a))
	r.send(t, r.fromA(), podA, lxcA, message(bpf.TCP, podA.at(v4, 80), remote.at(v4, 40000))).is(t, bpf.RedirectNeigh, r.nic)
	r.send(t, r.fromA(), podA, lxcA, message(bpf.TCP, podA.at(v6, 80), remote.at(v6, 40000))).dropped(t, bpf.InvalidSource)
}

func TestLongestPrefixWins(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, f := range families {
		request := message(bpf.UDP, podA.at(f, 40000), remote.at(f, 80))
		hole := netip.PrefixFrom(remote.addr(f), remote.addr(f).BitLen())
		r.send(t, r.toNetdev(r.lxcA), node1, node2, request).untouched(t)
		require.NoError(t, r.PutPrefix(hole, bpf.EntityWorld))
		require.NotEqual(t, podA.at(f, 40000), r.send(t, r.toNetdev(r.lxcA), node1, node2, request).Src())
		require.NoError(t, r.DeletePrefix(hole))
		r.send(t, r.toNetdev(r.lxcA), node1, node2, request).untouched(t)
	}
	require.Error(t, r.DeletePrefix(netip.MustParsePrefix("192.0.2.0/24")))
}
