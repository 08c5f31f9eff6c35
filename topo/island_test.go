package topo_test

import (
	"context"
	"net"
	"net/netip"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/topo"
)

var island = topo.Island{
	Devices: []topo.IslandDevice{
		{Name: "nic0", MAC: net.HardwareAddr{2, 0, 0, 0, 0, 9}, Addresses: prefixes("172.16.0.1/12", "fd00:172::1/32")},
		{Name: "lxc-a", Addresses: prefixes("192.168.0.1/24")},
	},
	Routes: []topo.IslandRoute{
		{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Via: []netip.Addr{netip.MustParseAddr("172.16.0.2")}},
		{Prefix: netip.MustParsePrefix("10.0.1.1/32"), Device: "lxc-a"},
		{Prefix: netip.MustParsePrefix("10.9.0.0/16"), Via: []netip.Addr{netip.MustParseAddr("192.168.0.2")}},
		{Prefix: netip.MustParsePrefix("192.0.2.0/24"), Kind: topo.RouteBlackhole},
		{Prefix: netip.MustParsePrefix("2001:db8::/32"), Kind: topo.RouteProhibit},
	},
	Neighbours: []topo.IslandNeighbour{
		{Device: "nic0", IP: netip.MustParseAddr("172.16.0.2"), MAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}},
	},
	Sysctls: map[string]string{"net.ipv4.ip_default_ttl": "33"},
}

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

func TestIslandIsAsDescribed(t *testing.T) {
	t.Parallel()
	network, err := topo.UpIsland(context.Background(), island)
	require.NoError(t, err)
	defer func() { require.NoError(t, network.Close()) }()
	m := machine(t, network, topo.IslandName)
	for i, d := range m.Devices() {
		require.Equal(t, 1000+i, d.Index)
	}
	for command, want := range map[string]string{
		"ip route get 10.2.3.4":                      "via 172.16.0.2 dev nic0",
		"ip route get 10.0.1.1":                      "10.0.1.1 dev lxc-a",
		"ip route get 10.9.0.1":                      "via 192.168.0.2 dev lxc-a",
		"ip neigh show":                              "172.16.0.2 dev nic0 lladdr 02:00:00:00:00:02 PERMANENT",
		"ip route":                                   "blackhole 192.0.2.0/24",
		"ip -6 route":                                "prohibit 2001:db8::/32 dev lo",
		"ip link show dev nic0":                      "state UP",
		"ip link show dev lxc-a":                     "link/ether 02:06:00:00:03:e9",
		"ip addr show dev nic0":                      "inet6 fd00:172::1/32",
		"cat /proc/sys/net/ipv4/ip_default_ttl":      "33",
		"cat /proc/sys/net/ipv6/conf/all/forwarding": "1",
	} {
		var out []byte
		require.NoError(t, m.Do(func() (err error) {
			words := strings.Fields(command)
			out, err = exec.Command(words[0], words[1:]...).Output()
			return err
		}), command)
		require.Contains(t, string(out), want, command)
	}
}

func TestIslandsThatCannotBe(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*topo.Island)
		says   string
	}{
		"two devices of one name": {func(i *topo.Island) { i.Devices[1].Name = "nic0" }, `"nic0" cannot name a device`},
		"name too long":           {func(i *topo.Island) { i.Devices[1].Name = "a-name-of-16-bytes" }, "at most 15 bytes"},
		"MAC of a group":          {func(i *topo.Island) { i.Devices[1].MAC = net.HardwareAddr{1, 0, 0, 0, 0, 9} }, "unicast"},
		"route by nothing": {func(i *topo.Island) {
			i.Routes = []topo.IslandRoute{{Prefix: netip.MustParsePrefix("10.0.0.0/8")}}
		}, "leads nowhere"},
		"route by no device": {func(i *topo.Island) {
			i.Routes = []topo.IslandRoute{{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Device: "eth7"}}
		}, `no device "eth7"`},
		"kind of route": {func(i *topo.Island) {
			i.Routes = []topo.IslandRoute{{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Kind: "black"}}
		}, "take blackhole"},
		"neighbour on no device": {func(i *topo.Island) {
			i.Neighbours = []topo.IslandNeighbour{{Device: "eth7", IP: netip.MustParseAddr("10.0.0.1")}}
		}, `no device "eth7"`},
	} {
		t.Run(name, func(t *testing.T) {
			wrong := island
			wrong.Devices = append([]topo.IslandDevice(nil), island.Devices...)
			test.change(&wrong)
			_, err := topo.UpIsland(context.Background(), wrong)
			require.ErrorContains(t, err, test.says)
		})
	}
}

// Frames can be sent to the devices of an island with traffic, and all that comes of one is there once Drain returns.
func TestIslandWithTraffic(t *testing.T) {
	network, err := topo.UpIsland(t.Context(), topo.Island{
		Devices: []topo.IslandDevice{{Name: "nic0"}, {Name: "nic1"}}, Traffic: true,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, network.Close()) })
	island, _ := network.Machine(topo.IslandName)
	shore, _ := network.Machine(topo.ShoreName)
	received := island.Receive()
	defer received.Close()

	frame := make([]byte, 60)
	frame[12], frame[13] = 0x88, 0xb5
	short := slices.Clone(frame)
	short[12], short[13] = 0, 46 // a length
	raw := slices.Clone(short)
	raw[14], raw[15] = 0xff, 0xff
	for _, f := range [][]byte{frame, short, raw} {
		require.NoError(t, received.Expect(f))
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for i := range 100 {
		for _, f := range [][]byte{frame, short, raw} {
			f[20] = byte(i)
			require.NoError(t, shore.Inject([]string{"nic0", "nic1"}[i%2], f))
			require.NoError(t, network.Drain())
			require.NoError(t, shore.Inject("nic0", f))
			require.NoError(t, network.Drain())
			got, err := received.Take()
			require.NoError(t, err)
			require.Equal(t, [][]byte{f, f}, got)
		}
	}
}
