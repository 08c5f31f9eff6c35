package topo_test

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// services returns the prefix that balancers announce, of a family.
func services(family topo.Family) netip.Prefix {
	if family == topo.IPv4 {
		return topo.ServicesIPv4
	}
	return topo.ServicesIPv6
}

// The router shares flows among all balancers, all packets of one by the same, and when a balancer's routes are withdrawn its
// flows go to the others.
func TestRouterSpreadsFlows(t *testing.T) {
	t.Parallel()
	const flows = 128
	for _, family := range families {
		t.Run(family.String(), func(t *testing.T) {
			t.Parallel()
			network := up(t, topo.Balancers(3, 0))
			tape := capture(t, network)
			client, router := machine(t, network, "client"), machine(t, network, "router")
			var nextHops []netip.Addr
			for _, name := range []string{"balancer1", "balancer2", "balancer3"} {
				nextHops = append(nextHops, ip(machine(t, network, name), family))
			}

			chosen := map[int]string{}
			shares := func(mustBe func(flow int) string) map[string]int {
				count := map[string]int{}
				for flow := range flows {
					name := tape.route(t, client, family, flow)
					require.NotEqual(t, "router", name)
					if want := mustBe(flow); want != "" {
						require.Equal(t, want, name)
					}
					chosen[flow] = name
					count[name]++
				}
				return count
			}
			any := func(int) string { return "" }
			same := func(flow int) string { return chosen[flow] }
			for name, count := range shares(any) {
				require.Greater(t, count, flows/8, name)
			}
			require.Len(t, shares(same), 3)

			require.NoError(t, router.RouteAdd(services(family), nextHops[0], nextHops[2]))
			require.NotContains(t, shares(any), "balancer2")
			require.Len(t, shares(same), 2)
			require.ErrorContains(t, router.RouteAdd(services(family)), "give it a next hop")
			require.NoError(t, router.RouteAdd(services(family), nextHops[2]))
			require.Equal(t, map[string]int{"balancer3": flows}, shares(any))
			require.ErrorContains(t, router.RouteAdd(services(family)), "give it a next hop")
			require.NoError(t, router.RouteAdd(services(family), nextHops...))
			require.Len(t, shares(any), 3)
		})
	}
}

// route sends a packet of a flow to a service's address, and returns where it was seen behind the router.
func (tape *tape) route(t testing.TB, client *topo.Machine, family topo.Family, flow int) string {
	t.Helper()
	tape.forget()
	dst := services(family).Addr().Next()
	device, mac, err := client.NextHop(dst)
	require.NoError(t, err)
	text := fmt.Sprintf("flow %d.", flow)
	p, err := packet.Build(packet.UDP{
		Src: netip.AddrPortFrom(ip(client, family), uint16(20000+flow)), Dst: netip.AddrPortFrom(dst, 80), Payload: []byte(text),
	}, packet.Defaults{SrcMAC: device.MAC, DstMAC: mac})
	require.NoError(t, err)
	require.NoError(t, client.Inject(device.Name, p.Data))
	var at string
	require.True(t, tape.await(func() bool {
		for _, f := range tape.seen(t, text) {
			if f.Direction == topo.In && f.Device.Name == topo.NIC && f.Device.Machine != "router" && f.Device.Machine != "client" {
				at = f.Device.Machine
			}
		}
		return at != ""
	}), "no balancer received %s", p)
	return at
}

// A machine answers from an address that was added to it, but does not own up to it on its link.
func TestAddressAdd(t *testing.T) {
	t.Parallel()
	network := up(t, topo.Balancers(1, 1))
	tape := capture(t, network)
	client, server := machine(t, network, "client"), machine(t, network, "server1")
	for _, family := range families {
		address := services(family).Addr().Next()
		require.NoError(t, server.AddressAdd(address))
		require.NoError(t, client.RouteAdd(netip.PrefixFrom(address, address.BitLen()), ip(server, family)))
		exchange(t, listen(t, client, ip(client, family)), listen(t, server, address))

		nic := client.Devices()[0]
		ask, err := packet.Build(packet.WhoHas(address), packet.Defaults{
			SrcMAC: nic.MAC, SrcIPv4: client.IPv4(), SrcIPv6: client.IPv6(), DstMAC: net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}})
		require.NoError(t, err)
		tape.forget()
		require.NoError(t, client.Inject(nic.Name, ask.Data))
		tape.expect(t, string(ask.Data[14:]), "client/eth0 out", "server1/eth0 in", "router/eth0 in", "balancer1/eth0 in")
		// What the server had to say to the question, it has said before it answers the next.
		exchange(t, listen(t, client, ip(client, family)), listen(t, server, address))
		for _, f := range tape.seen(t, string(address.AsSlice())) {
			p, err := packet.Decode(f.Data)
			require.NoError(t, err)
			require.NotNil(t, packet.Match(packet.IsAt(address, server.Devices()[0].MAC), p), "%s", p)
		}

		require.NoError(t, server.AddressDelete(address))
		require.Error(t, server.Do(func() error {
			conn, err := net.ListenPacket("udp", netip.AddrPortFrom(address, 0).String())
			if err == nil {
				conn.Close()
			}
			return err
		}))
		require.ErrorContains(t, server.AddressDelete(address), "taking the address")
	}
}
