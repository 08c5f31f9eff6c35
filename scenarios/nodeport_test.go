package scenarios

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/ebpf"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// withoutXDP leaves node ports to the TC programs (S5).
var withoutXDP = ebpf.Datapath(ebpf.WithoutXDP())

// everyBalancer serves node ports, each at another place.
var everyBalancer = append(harness.Datapaths{withoutXDP}, everyDatapath...)

// port returns the port of a protocol's node port service.
func (p protocol) port(number uint16) packet.Port {
	if p.name == udp.name {
		return packet.UDPPort(number)
	}
	return packet.TCPPort(number)
}

// S3: the scenario of the README, to the letter.
func TestNodePort(t *testing.T) {
	t.Parallel()
	lab := harness.Start(t, topo.Cluster(3), ebpf.Datapath())
	client, node1, web := lab.Host("client"), lab.Node("node1"), lab.Pod("web-on-node3")
	lab.AddService(t, harness.NodePort(30080, packet.TCPPort(80), web))

	client.Send(t, packet.TCP{Dst: node1.AddrPort(30080), Flags: packet.SYN})
	syn := web.Expect(t, packet.TCP{Dst: web.AddrPort(80), Flags: packet.SYN})

	web.Send(t, syn.Reply(packet.SYN|packet.ACK))
	client.Expect(t, packet.TCP{Src: node1.AddrPort(30080), Flags: packet.SYN | packet.ACK})

	lab.Trace(t, syn).Passed(t, "node1/eth0 xdp TX").Never(t, "node1 netfilter")
}

// S3: a NodePort whose backend is on another node: the backend sees the balancing
// node, the client sees only the node port, and the reply goes back the same way.
func TestNodePortToRemoteBackend(t *testing.T) {
	t.Parallel()
	everyBalancer.Run(t, topo.Cluster(3), func(t *testing.T, lab *harness.Lab) {
		client, node1, web := lab.Host("client"), lab.Node("node1"), lab.Pod("web-on-node3")
		each(t, []protocol{tcp, udp}, func(t *testing.T, p protocol) {
			lab.AddService(t, harness.NodePort(30080, p.port(80), web))

			sent := client.Send(t, p.request(node1.AddrPort(30080)))
			request := web.Expect(t, p.request(web.AddrPort(80)))
			require.Equal(t, node1.Addr(), request.Src().Addr(), "the reply must come back through the balancing node")

			web.Send(t, p.reply(request))
			client.Expect(t, p.reply(sent))
		})
	})
}

// S3: in XDP the balancing node turns the packet round in the driver: it never
// becomes an skb there, neither on the way to the backend nor on the way back.
func TestNodePortInXDPNeverBecomesAnSkb(t *testing.T) {
	t.Parallel()
	onlyEBPF.Run(t, topo.Cluster(3), func(t *testing.T, lab *harness.Lab) {
		client, node1, web := lab.Host("client"), lab.Node("node1"), lab.Pod("web-on-node3")
		each(t, []protocol{tcp, udp}, func(t *testing.T, p protocol) {
			lab.AddService(t, harness.NodePort(30080, p.port(80), web))

			sent := client.Send(t, p.request(node1.AddrPort(30080)))
			request := web.Expect(t, p.request(web.AddrPort(80)))
			lab.Trace(t, request).
				Passed(t, "client/eth0 out", "node1/eth0 xdp TX", "node3/eth0 in", "web-on-node3/eth0 in").
				Never(t, "node1/eth0 in", "node1/eth0 out", "node1/eth0 from-netdev", "node1/eth0 to-netdev", "node1 netfilter")

			reply := web.Send(t, p.reply(request))
			client.Expect(t, p.reply(sent))
			lab.Trace(t, reply).
				Passed(t, "node3/eth0 out", "node1/eth0 xdp TX", "client/eth0 in").
				Never(t, "node1/eth0 in", "node1/eth0 out", "node1/eth0 from-netdev", "node1/eth0 to-netdev", "node1 netfilter")
		})
	})
}

// S4: a NodePort whose backend is on the same node keeps the client's address.
func TestNodePortToLocalBackendKeepsTheClient(t *testing.T) {
	t.Parallel()
	harness.Datapaths{ebpf.Datapath(), withoutXDP}.Run(t, topo.Cluster(1), func(t *testing.T, lab *harness.Lab) {
		client, node1, web := lab.Host("client"), lab.Node("node1"), lab.Pod("web-on-node1")
		each(t, []protocol{tcp, udp}, func(t *testing.T, p protocol) {
			lab.AddService(t, harness.NodePort(30080, p.port(80), web))

			sent := client.Send(t, p.request(node1.AddrPort(30080)))
			request := web.Expect(t, p.request(web.AddrPort(80)))
			require.Equal(t, sent.Src(), request.Src(), "the pod must see the client itself")
			lab.Trace(t, request).Passed(t, "node1/eth0 in", "node1/eth0 from-netdev REDIRECT_PEER", "web-on-node1/eth0 in").
				Never(t, "node1 netfilter")

			web.Send(t, p.reply(request))
			client.Expect(t, p.reply(sent))
		})
	})
}

// S5: with XDP off, TC balances on the way in from the NIC.
func TestNodePortInTC(t *testing.T) {
	t.Parallel()
	harness.Datapaths{withoutXDP}.Run(t, topo.Cluster(3), func(t *testing.T, lab *harness.Lab) {
		client, node1, web := lab.Host("client"), lab.Node("node1"), lab.Pod("web-on-node3")
		require.Nil(t, ebpf.Programs(t, lab, "node1").Programs.XDPEntry, "nobody verifies what is not attached")
		each(t, []protocol{tcp, udp}, func(t *testing.T, p protocol) {
			lab.AddService(t, harness.NodePort(30080, p.port(80), web))

			sent := client.Send(t, p.request(node1.AddrPort(30080)))
			request := web.Expect(t, p.request(web.AddrPort(80)))
			lab.Trace(t, request).
				Passed(t, "node1/eth0 in", "node1/eth0 from-netdev REDIRECT_NEIGH", "node1/eth0 out", "web-on-node3/eth0 in").
				Never(t, "node1/eth0 xdp", "node1 netfilter")

			reply := web.Send(t, p.reply(request))
			client.Expect(t, p.reply(sent))
			lab.Trace(t, reply).
				Passed(t, "node1/eth0 in", "node1/eth0 from-netdev REDIRECT", "node1/eth0 out", "client/eth0 in"). // to the MAC that the request came from
				Never(t, "node1 netfilter")
		})
	})
}

// S3 to S5: whole connections through every kind of balancer, backend near and far.
func TestNodePortConnection(t *testing.T) {
	t.Parallel()
	everyBalancer.Run(t, topo.Cluster(2), func(t *testing.T, lab *harness.Lab) {
		client, node1 := lab.Host("client"), lab.Node("node1")
		for _, name := range []string{"web-on-node1", "web-on-node2"} {
			t.Run(name, func(t *testing.T) {
				web := lab.Pod(name)
				web.ServeHTTP(t, 80, says(name))
				lab.AddService(t, harness.NodePort(30080, packet.TCPPort(80), web))
				require.Equal(t, name, client.Get(t, node1.AddrPort(30080)))
			})
		}
	})
}
