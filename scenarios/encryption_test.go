package scenarios

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/ebpf"
	"github.com/skbench/skbench/harness/datapath/iptables"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// encryption is what holds of one kind: the way that a packet takes on eBPF, and the largest that fits.
type encryption struct {
	kind       topo.Encryption
	way        []string // from the client's node on
	mtu4, mtu6 int
	wire       func(*packet.Packet) bool
}

var (
	byWireGuard = encryption{
		kind: topo.WireGuard,
		way: []string{"node1/lxc-client from-container REDIRECT", "node1/wg0 out", "node2/wg0 in", "node2/wg0 from-network REDIRECT",
			"node2/lxc-web out", "web-on-node2/eth0 in"},
		mtu4: 1420, mtu6: 1420,
		wire: func(p *packet.Packet) bool {
			udp, ok := p.UDP()
			return ok && udp.Dst.Port() == topo.WireGuardPort && udp.Src.Port() == topo.WireGuardPort
		},
	}
	byIPsec = encryption{
		kind: topo.IPsec,
		way:  []string{"node1/lxc-client from-container PASS", "node2/eth0 from-netdev", "web-on-node2/eth0 in"},
		// Less an outer header, 8 bytes of ESP, 8 of IV, 16 of tag, 2 of trailer.
		mtu4: 1446, mtu6: 1426,
		wire: isESP,
	}
)

// isESP says whether the IP header carries ESP (protocol 50).
func isESP(p *packet.Packet) bool {
	const esp = 50
	if ip, ok := p.IPv4(); ok {
		return ip.Protocol == esp
	}
	ip, ok := p.IPv6()
	return ok && ip.NextHeader == esp
}

// C10: WireGuard. On eBPF packets go from program to device and from device to pod; no netfilter chain sees them on their way.
func TestWireGuard(t *testing.T) {
	t.Parallel()
	byWireGuard.run(t, func(t *testing.T, _ *harness.Lab, trace *harness.Trace) {
		trace.Never(t, "node1 netfilter", "node2 netfilter")
	})
}

// C10: IPsec, ESP in tunnel mode. What is decrypted comes to the NIC once more, where eBPF finds its pod.
func TestIPsec(t *testing.T) {
	t.Parallel()
	byIPsec.run(t, func(t *testing.T, _ *harness.Lab, trace *harness.Trace) {
		trace.Never(t, "node1/eth0 from-netdev", "node2/lxc-web from-container")
	})
}

// run proves that nothing between pods of two nodes is on the wire as it is, that all of it arrives, and that what does not fit is told.
func (e encryption) run(t *testing.T, onEBPF func(*testing.T, *harness.Lab, *harness.Trace)) {
	datapaths := harness.Datapaths{ebpf.Datapath(), iptables.Datapath()}
	datapaths.Run(t, topo.Cluster(2).Encrypted(e.kind), func(t *testing.T, lab *harness.Lab) {
		client, web := lab.Pod("client-on-node1"), lab.Pod("web-on-node2")
		each(t, []protocol{tcp, udp, echo}, func(t *testing.T, p protocol) {
			sent := client.Send(t, p.request(web.AddrPort(80)))
			request := web.Expect(t, p.request(web.AddrPort(80)))
			requireHops(t, request, 2)
			web.Send(t, p.reply(request))
			requireHops(t, client.Expect(t, p.reply(sent)), 2)

			trace := lab.Trace(t, request)
			if lab.Datapath().Name() == "ebpf" {
				trace.Passed(t, e.way...)
				onEBPF(t, lab, trace)
			} else {
				for _, node := range []string{"node1", "node2"} { // Netfilter's reports have a clock of their own.
					trace.Passed(t, node+" netfilter filter FORWARD")
				}
			}
		})
		t.Run("service", func(t *testing.T) {
			service := lab.AddService(t, harness.ClusterIP(packet.TCPPort(80), 8080, web))
			syn := client.Send(t, packet.TCP{Dst: service.AddrPort(), Flags: packet.SYN})
			arrived := web.Expect(t, packet.TCP{Dst: web.AddrPort(8080), Flags: packet.SYN})
			web.Send(t, arrived.Reply(packet.SYN|packet.ACK))
			client.Expect(t, syn.Reply(packet.SYN|packet.ACK))
		})
		t.Run("too big", func(t *testing.T) {
			mtu, headers := e.mtu4, 28
			if lab.Family() == topo.IPv6 {
				mtu, headers = e.mtu6, 48
			}
			fits := client.Send(t, packet.UDP{Dst: web.AddrPort(81), Payload: make([]byte, mtu-headers-packet.CookieSize)})
			web.Expect(t, packet.UDP{Dst: web.AddrPort(81)})
			require.Len(t, fits.Data, mtu+14)
			larger := client.Send(t, packet.UDP{Dst: web.AddrPort(82), Payload: make([]byte, mtu-headers-packet.CookieSize+1)})
			client.Expect(t, tooBigFor(mtu).about(netip.Addr{}, client.Addr(), named(larger)))
			web.ExpectNone(t, packet.UDP{Dst: web.AddrPort(82)})
		})
		t.Run("connection", func(t *testing.T) {
			received := receive(web.Listen(t, 8081))
			conn := client.Dial(t, "tcp", web.AddrPort(8081))
			sent := bytes.Repeat(secret, 4000)
			_, err := conn.Write(sent)
			require.NoError(t, err)
			require.NoError(t, conn.Close())
			require.Equal(t, len(sent), <-received)
		})
		e.requireOnWire(t, lab)
	})
}

// secret is what the connection says, again and again.
var secret = []byte("nobody else may read this")

// requireOnWire fails unless the nodes sent each other packets, all of them encrypted: none of a pod's, none that says what pods said.
func (e encryption) requireOnWire(t *testing.T, lab *harness.Lab) {
	t.Helper()
	encrypted := 0
	for _, f := range lab.Frames(t) {
		// What a NIC received may be seen there once more, decrypted: what is on the wire is what NICs send.
		if f.Device.Name != topo.NIC || f.Direction != topo.Out || !strings.HasPrefix(f.Device.Machine, "node") {
			continue
		}
		p, err := packet.Decode(f.Data)
		require.NoError(t, err)
		if _, ok := p.ARP(); ok {
			continue
		}
		for _, pods := range []netip.Prefix{topo.ClusterIPv4, topo.ClusterIPv6} {
			require.False(t, pods.Contains(p.Src().Addr()) || pods.Contains(p.Dst().Addr()), "%s sent a pod's packet as it was: %s", f.Device, p)
		}
		require.False(t, bytes.Contains(f.Data, secret), "%s sent what a pod said: %s", f.Device, p)
		_, told := p.Cookie()
		require.False(t, told, "%s sent a packet of the test as it was: %s", f.Device, p)
		if e.wire(p) {
			encrypted++
		}
	}
	require.Greater(t, encrypted, 10, "packets that the nodes sent encrypted")
}
