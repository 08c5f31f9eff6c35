package topo_test

import (
	"context"
	"net"
	"net/netip"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/topo"
)

// patience is how long something may take that takes milliseconds.
const patience = 5 * time.Second

// up brings a topology up for the length of a test.
func up(t testing.TB, topology topo.Topology) *topo.Network {
	t.Helper()
	network, err := topo.Up(context.Background(), topology)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, network.Close()) })
	return network
}

func machine(t testing.TB, network *topo.Network, name string) *topo.Machine {
	t.Helper()
	m, ok := network.Machine(name)
	require.True(t, ok, "no machine %s", name)
	return m
}

// ip returns the machine's address of a family.
func ip(m *topo.Machine, family topo.Family) netip.Addr {
	if family == topo.IPv4 {
		return m.IPv4()
	}
	return m.IPv6()
}

var families = []topo.Family{topo.IPv4, topo.IPv6}

// listen opens a UDP socket on a machine, at one of its addresses and a port that the kernel chooses.
func listen(t testing.TB, m *topo.Machine, at netip.Addr) *net.UDPConn {
	t.Helper()
	var conn *net.UDPConn
	require.NoError(t, m.Do(func() (err error) {
		conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, 0)))
		return err
	}))
	t.Cleanup(func() { conn.Close() })
	return conn
}

// addrPort is where a socket listens.
func addrPort(conn *net.UDPConn) netip.AddrPort { return conn.LocalAddr().(*net.UDPAddr).AddrPort() }

// receive returns what a socket gets next, and from where.
func receive(t testing.TB, conn *net.UDPConn) (string, netip.AddrPort) {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	b := make([]byte, 64<<10)
	n, from, err := conn.ReadFromUDPAddrPort(b)
	require.NoError(t, err, "%s received nothing", conn.LocalAddr())
	return string(b[:n]), from
}

// exchange sends a datagram from one socket to another, and one back.
func exchange(t testing.TB, client, server *net.UDPConn) {
	t.Helper()
	_, err := client.WriteToUDPAddrPort([]byte("question"), addrPort(server))
	require.NoError(t, err)
	text, from := receive(t, server)
	require.Equal(t, "question", text)
	require.Equal(t, addrPort(client), from)
	_, err = server.WriteToUDPAddrPort([]byte("answer"), from)
	require.NoError(t, err)
	text, from = receive(t, client)
	require.Equal(t, "answer", text)
	require.Equal(t, addrPort(server), from)
}

// run runs a command on a machine and returns what it prints.
func run(t testing.TB, m *topo.Machine, command ...string) string {
	t.Helper()
	var out strings.Builder
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, m.Start(cmd))
	require.NoError(t, cmd.Wait(), "%v printed: %s", command, &out)
	return out.String()
}

func TestMachinesReachOneAnother(t *testing.T) {
	t.Parallel()
	network := up(t, topo.Example())
	for _, pair := range []struct{ what, from, to string }{
		{"pod to pod on one node", "client-on-worker1", "web-on-worker1"},
		{"pod to pod on another node", "client-on-worker1", "web-on-worker2"},
		{"pod to its node", "client-on-worker1", "worker1"},
		{"pod to another node", "client-on-worker1", "worker2"},
		{"node to its pod", "worker1", "client-on-worker1"},
		{"node to a pod on another node", "worker1", "web-on-control-plane"},
		{"node to node", "worker1", "worker2"},
		{"host to node", "client", "control-plane"},
		{"node to host", "control-plane", "client"},
		{"host to itself", "client", "client"},
	} {
		for _, family := range families {
			t.Run(pair.what+" "+family.String(), func(t *testing.T) {
				from, to := machine(t, network, pair.from), machine(t, network, pair.to)
				exchange(t, listen(t, from, ip(from, family)), listen(t, to, ip(to, family)))
			})
		}
	}
}

func TestPodReachesItsGateway(t *testing.T) {
	t.Parallel()
	topology := topo.Example()
	network := up(t, topology)
	pod, node := machine(t, network, "client-on-worker1"), machine(t, network, "worker1")
	for _, gateway := range []netip.Addr{topology.Nodes[1].GatewayIPv4, topology.Nodes[1].GatewayIPv6} {
		family := topo.IPv4
		if gateway.Is6() {
			family = topo.IPv6
		}
		exchange(t, listen(t, pod, ip(pod, family)), listen(t, node, gateway))
	}
}

// A node speaks to its pods by its own address, not by that of the gateway, which all its devices share.
func TestNodeSpeaksToItsPodsByItsOwnAddress(t *testing.T) {
	t.Parallel()
	network := up(t, topo.Example())
	node, pod := machine(t, network, "worker1"), machine(t, network, "web-on-worker1")
	for _, family := range families {
		server := listen(t, pod, ip(pod, family))
		require.NoError(t, node.Do(func() error {
			client, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(addrPort(server)))
			if err != nil {
				return err
			}
			defer client.Close()
			_, err = client.Write([]byte("hello"))
			return err
		}))
		_, from := receive(t, server)
		require.Equal(t, ip(node, family), from.Addr())
	}
}

func TestHostHasNoRouteToPods(t *testing.T) {
	t.Parallel()
	network := up(t, topo.Example())
	host, pod := machine(t, network, "client"), machine(t, network, "web-on-worker1")
	for _, family := range families {
		conn := listen(t, host, ip(host, family))
		_, err := conn.WriteToUDPAddrPort([]byte("hello"), netip.AddrPortFrom(ip(pod, family), 80))
		require.ErrorContains(t, err, "network is unreachable")
	}
}

func TestDevicesAreAsDescribed(t *testing.T) {
	t.Parallel()
	topology := topo.Example()
	topology.MTU = 1400
	network := up(t, topology)
	seen := map[int]topo.Device{}
	for _, m := range network.Machines() {
		for _, d := range m.Devices() {
			require.NotContains(t, seen, d.Index)
			seen[d.Index] = d
			var real *net.Interface
			require.NoError(t, m.Do(func() (err error) {
				real, err = net.InterfaceByName(d.Name)
				return err
			}))
			require.Equal(t, d.Index, real.Index, d)
			require.Equal(t, d.MAC, real.HardwareAddr, d)
			require.Equal(t, 1400, real.MTU, d)
			found, ok := network.Device(d.Index)
			require.True(t, ok)
			require.Equal(t, d, found)
		}
	}
	require.Len(t, machine(t, network, "worker1").Devices(), 3)
	_, ok := network.Device(1)
	require.False(t, ok, "lo is nobody's")
	_, err := machine(t, network, "worker1").Device("lxc-nope")
	require.ErrorContains(t, err, `worker1 has no device "lxc-nope"`)
}

func TestOffloadsAreOffUnlessWanted(t *testing.T) {
	t.Parallel()
	segmentation := []string{"tx-tcp-segmentation", "tx-tcp6-segmentation", "generic-segmentation-offload", "tx-udp-segmentation"}
	others := []string{"tx-checksumming", "scatter-gather"}
	for _, test := range []struct {
		wanted   bool
		device   string
		features []string
		state    string
	}{
		{false, "eth0", append(segmentation, others...), "off"},
		{false, "lxc-web", append(segmentation, others...), "off"},
		{true, "eth0", others, "on"},
		{true, "lxc-web", append(segmentation, others...), "on"},
	} {
		topology := topo.Cluster(1)
		topology.Offloads = test.wanted
		network := up(t, topology)
		printed := run(t, machine(t, network, "node1"), "ethtool", "-k", test.device)
		for _, feature := range test.features {
			require.Contains(t, printed, feature+": "+test.state, "%+v", test)
		}
		require.Contains(t, printed, "generic-receive-offload: off")
	}
}

func TestMachinesOfAnyName(t *testing.T) {
	t.Parallel()
	names := []string{"lo", "all", "..", "eth0", "a-machine-with-a-long-name", "a-machine-with-a-longer-name", "ä"}
	var topology topo.Topology
	for _, name := range names {
		topology.AddNode(name)
	}
	network := up(t, topology)
	for _, name := range names {
		from, to := machine(t, network, "eth0"), machine(t, network, name)
		exchange(t, listen(t, from, from.IPv4()), listen(t, to, to.IPv4()))
	}
}

func TestSysctl(t *testing.T) {
	t.Parallel()
	node := machine(t, up(t, topo.Cluster(1)), "node1")
	require.NoError(t, node.Sysctl("net.ipv4.ip_local_port_range", "1024 2048"))
	require.Equal(t, "1024\t2048\n", run(t, node, "cat", "/proc/sys/net/ipv4/ip_local_port_range"))
	require.ErrorContains(t, node.Sysctl("net.ipv4.nonsense", "1"), "setting net.ipv4.nonsense of node1")
}

func TestChildrenInheritNoDescriptors(t *testing.T) {
	t.Parallel()
	network := up(t, topo.Example())
	capture(t, network)
	require.NoError(t, machine(t, network, "client").Inject("eth0", make([]byte, 60)))
	descriptors := run(t, machine(t, network, "client"), "ls", "-l", "/proc/self/fd")
	for _, kind := range []string{"socket:", "net:", "anon_inode:"} {
		require.NotContains(t, descriptors, kind)
	}
}

func TestGoroutineEndedInsideAMachine(t *testing.T) {
	t.Parallel()
	node := machine(t, up(t, topo.Cluster(1)), "node1")
	err := node.Do(func() error {
		runtime.Goexit() // as t.FailNow does
		return nil
	})
	require.ErrorContains(t, err, "ended its goroutine")
}
