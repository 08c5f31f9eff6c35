package scenarios

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/ebpf"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// direct has backends answer clients themselves, by XDP and where XDP is off (S6).
var direct = harness.Datapaths{ebpf.Datapath(ebpf.WithDSR()), ebpf.Datapath(ebpf.WithDSR(), ebpf.WithoutXDP())}

// S6: a client addresses node1, the backend on node3 sees the client itself, and its answer leaves node3 as if from node1.
func TestDirectServerReturn(t *testing.T) {
	t.Parallel()
	direct.Run(t, topo.Cluster(3), func(t *testing.T, lab *harness.Lab) {
		client, node1, web := lab.Host("client"), lab.Node("node1"), lab.Pod("web-on-node3")
		each(t, []protocol{tcp, udp}, func(t *testing.T, p protocol) {
			lab.AddService(t, harness.NodePort(30080, p.port(80), web))

			sent := client.Send(t, p.request(node1.AddrPort(30080)))
			request := web.Expect(t, p.request(web.AddrPort(80)))
			require.Equal(t, sent.Src(), request.Src(), "the pod must see the client itself")
			requireHops(t, request, 2)

			reply := web.Send(t, p.reply(request))
			answer := client.Expect(t, directly(t, lab, "node3", p.reply(sent)))
			require.Equal(t, node1.AddrPort(30080), answer.Src())
			requireHops(t, answer, 1)
			lab.Trace(t, reply).
				Passed(t, "web-on-node3/eth0 out", "node3/eth0 out", "client/eth0 in").
				Never(t, "node1/eth0", "node2/eth0", "node3 netfilter")
		})
	})
}

// S6: every address by which the world reaches a service, all of them with answers from it.
func TestDirectServerReturnByEveryAddress(t *testing.T) {
	t.Parallel()
	direct.Run(t, topo.Cluster(3), func(t *testing.T, lab *harness.Lab) {
		client, node1, web := lab.Host("client"), lab.Node("node1"), lab.Pod("web-on-node3")
		external, balanced := inFamily(lab, topo.ServiceIPv4(1), topo.ServiceIPv6(1)), inFamily(lab, topo.ServiceIPv4(2), topo.ServiceIPv6(2))
		for _, addr := range []netip.Addr{external, balanced} {
			require.NoError(t, client.Network().RouteAdd(netip.PrefixFrom(addr, addr.BitLen()), node1.Addr()))
		}
		service := harness.NodePort(30080, packet.TCPPort(8443), web)
		service.Backends[0].Port = 80
		service.ExternalIPs, service.LoadBalancerIPs = []netip.Addr{external}, []netip.Addr{balanced}
		lab.AddService(t, service)
		for name, frontend := range map[string]netip.AddrPort{
			"node port":   node1.AddrPort(30080),
			"external IP": netip.AddrPortFrom(external, 8443),
			"balancer IP": netip.AddrPortFrom(balanced, 8443),
		} {
			t.Run(name, func(t *testing.T) {
				sent := client.Send(t, tcp.request(frontend))
				request := web.Expect(t, tcp.request(web.AddrPort(80)))
				require.Equal(t, sent.Src(), request.Src())
				reply := web.Send(t, tcp.reply(request))
				require.Equal(t, frontend, client.Expect(t, directly(t, lab, "node3", tcp.reply(sent))).Src())
				lab.Trace(t, reply).Never(t, "node1/eth0")
			})
		}
	})
}

// S6: between the nodes the packet travels as it came, in another one from node to pod. In XDP it never becomes an skb on
// the balancing node.
func TestDirectServerReturnEncapsulates(t *testing.T) {
	t.Parallel()
	direct.Run(t, topo.Cluster(3), func(t *testing.T, lab *harness.Lab) {
		client, node1, web := lab.Host("client"), lab.Node("node1"), lab.Pod("web-on-node3")
		inXDP := lab.Datapath().Name() == "ebpf-dsr"
		each(t, []protocol{tcp, udp}, func(t *testing.T, p protocol) {
			lab.AddService(t, harness.NodePort(30080, p.port(80), web))
			client.Send(t, p.request(node1.AddrPort(30080)))
			request := web.Expect(t, p.request(web.AddrPort(80)))
			trace := lab.Trace(t, request)
			left := "node1/eth0 out"
			if inXDP {
				left = "node1/eth0 xdp TX"
				trace.Never(t, "node1/eth0 in", "node1/eth0 out", "node1/eth0 from-netdev", "node1/eth0 to-netdev")
			}
			trace.Passed(t, "client/eth0 out", left, "node3/eth0 in", "web-on-node3/eth0 in").
				Never(t, "node1 netfilter", "node3 netfilter")
			requireHeaders(t, trace, left, ipHeader(node1.Addr(), web.Addr(), 63), ipHeader(client.Addr(), node1.Addr(), 63), p.request(node1.AddrPort(30080)))
		})
	})
}

// S6: a backend on the balancing node needs no tunnel, nor does a pod's own way to the service.
func TestDirectServerReturnNearby(t *testing.T) {
	t.Parallel()
	direct.Run(t, topo.Cluster(2), func(t *testing.T, lab *harness.Lab) {
		client, node1, web, pod := lab.Host("client"), lab.Node("node1"), lab.Pod("web-on-node1"), lab.Pod("client-on-node1")
		lab.AddService(t, harness.NodePort(30080, packet.TCPPort(80), web))
		sent := client.Send(t, tcp.request(node1.AddrPort(30080)))
		request := web.Expect(t, tcp.request(web.AddrPort(80)))
		require.Equal(t, sent.Src(), request.Src())
		web.Send(t, tcp.reply(request))
		client.Expect(t, tcp.reply(sent))

		// By the address of a node where the pod is not, which sends it back here.
		for _, node := range []*harness.Machine{node1, lab.Node("node2")} {
			sent = pod.Send(t, tcp.request(node.AddrPort(30080)))
			request = web.Expect(t, tcp.request(web.AddrPort(80)))
			require.Equal(t, sent.Src(), request.Src())
			web.Send(t, tcp.reply(request))
			pod.Expect(t, tcp.reply(sent))
		}
	})
}

// S6: whole connections, to each node, from outside and from inside.
func TestDirectServerReturnConnection(t *testing.T) {
	t.Parallel()
	direct.Run(t, topo.Cluster(3), func(t *testing.T, lab *harness.Lab) {
		var pods []*harness.Machine
		for _, node := range []string{"node1", "node2", "node3"} {
			web := lab.Pod("web-on-" + node)
			web.ServeHTTP(t, 80, says("hello"))
			pods = append(pods, web)
		}
		lab.AddService(t, harness.NodePort(30080, packet.TCPPort(80), pods...))
		for _, from := range []*harness.Machine{lab.Host("client"), lab.Pod("client-on-node1"), lab.Node("node3")} {
			for _, node := range []string{"node1", "node2", "node3"} {
				for range 6 { // whichever backend is chosen
					require.Equal(t, "hello", from.Get(t, lab.Node(node).AddrPort(30080)), "from %s by %s", from.Name(), node)
				}
			}
		}
	})
}

// S6: a stranger who sends what only nodes may is not believed.
func TestDirectServerReturnIsForNodes(t *testing.T) {
	t.Parallel()
	direct.Run(t, topo.Cluster(3), func(t *testing.T, lab *harness.Lab) {
		client, node1, node3, web := lab.Host("client"), lab.Node("node1"), lab.Node("node3"), lab.Pod("web-on-node3")
		served := lab.AddService(t, harness.NodePort(30080, packet.TCPPort(80), web))
		before := lab.Drops(t)["node3"]
		require.NoError(t, client.Network().RouteAdd(netip.PrefixFrom(web.Addr(), web.Addr().BitLen()), node3.Addr()))
		forged := func(from netip.Addr, port uint16) *packet.Packet {
			return client.Send(t, packet.Layers{
				ipHeader(from, web.Addr(), 0), ipHeader(client.Addr(), node1.Addr(), 0), tcp.request(node1.AddrPort(port)),
			})
		}
		stranger := forged(client.Addr(), 30080)
		notServed := forged(node1.Addr(), 30081)
		web.ExpectNone(t, packet.Layers{})
		at := "node3/eth0 xdp DROP "
		if lab.Datapath().Name() != "ebpf-dsr" {
			at = "node3/eth0 from-netdev DROP "
		}
		lab.Trace(t, stranger).Passed(t, at+"TUNNEL_SOURCE")
		lab.Trace(t, notServed).Passed(t, at+"TUNNEL_SERVICE")
		require.Equal(t, before["TUNNEL_SOURCE"]+1, lab.Drops(t)["node3"]["TUNNEL_SOURCE"])

		served.Remove(t)
		lab.Trace(t, forged(node1.Addr(), 30080)).Passed(t, at+"TUNNEL_SERVICE")
	})
}

// S6, S11: a connection stays with its backend while others come and go; one to a backend that is gone does, too.
func TestDirectServerReturnWhileBackendsChange(t *testing.T) {
	t.Parallel()
	direct.Run(t, topo.Cluster(3), func(t *testing.T, lab *harness.Lab) {
		client, node1 := lab.Host("client"), lab.Node("node1")
		first, second := lab.Pod("web-on-node2"), lab.Pod("web-on-node3")
		for _, web := range []*harness.Machine{first, second} {
			web.ServeHTTP(t, 80, says(web.Name()))
		}
		served := lab.AddService(t, harness.NodePort(30080, packet.TCPPort(80), first))
		kept := client.Dial(t, "tcp", node1.AddrPort(30080))
		served.Change(t, func(s *harness.Service) { s.Backends = harness.NodePort(0, packet.TCPPort(80), second).Backends })
		require.Equal(t, second.Name(), client.Get(t, node1.AddrPort(30080)))
		require.Equal(t, first.Name(), getOver(t, kept))

		second.ServeHTTP(t, 8080, says("another port"))
		served.Change(t, func(s *harness.Service) { s.Backends[0].Port = 8080 })
		require.Equal(t, "another port", client.Get(t, node1.AddrPort(30080)))
	})
}

// S6: a packet that the tunnel leaves no room for is not lost without a word: its sender hears how much room there is, and
// a connection that has more to say goes on with less at a time.
func TestDirectServerReturnTellsHowMuchFits(t *testing.T) {
	t.Parallel()
	direct.Run(t, topo.Cluster(3), func(t *testing.T, lab *harness.Lab) {
		client, node1, web := lab.Host("client"), lab.Node("node1"), lab.Pod("web-on-node3")
		received := make(chan int64, 1)
		web.ServeHTTP(t, 80, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			n, _ := io.Copy(io.Discard, r.Body)
			received <- n
		}))
		lab.AddService(t, harness.NodePort(30080, packet.TCPPort(80), web))

		sent := client.Send(t, packet.Layers{ipHeader(client.Addr(), node1.Addr(), 0), packet.TCP{Dst: node1.AddrPort(30080), Payload: make([]byte, 1440-ipv6More(lab))}})
		client.Expect(t, tooLong(node1.Addr(), client.Addr(), uint16(1480-ipv6More(lab)), nil))
		web.ExpectNone(t, packet.TCP{Dst: web.AddrPort(80)})
		lab.Trace(t, sent).Passed(t, "node1/eth0 from-netdev REJECT TOO_BIG")

		conn := client.Dial(t, "tcp", node1.AddrPort(30080))
		const size = 1 << 18
		_, err := fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: service\r\nContent-Length: %d\r\n\r\n", size)
		require.NoError(t, err)
		_, err = conn.Write(make([]byte, size))
		require.NoError(t, err)
		require.EqualValues(t, size, <-received)
	})
}

// S6, S12: a router on the way of an answer complains to node1, whose address it saw; the pod hears of the packet as it sent it.
func TestDirectServerReturnHearsOfErrors(t *testing.T) {
	t.Parallel()
	direct.Run(t, topo.Cluster(3), func(t *testing.T, lab *harness.Lab) {
		client, node1, web := lab.Host("client"), lab.Node("node1"), lab.Pod("web-on-node3")
		lab.AddService(t, harness.NodePort(30080, packet.TCPPort(80), web))
		sent := client.Send(t, tcp.request(node1.AddrPort(30080)))
		web.Expect(t, tcp.request(web.AddrPort(80)))

		client.Send(t, tooLong(client.Addr(), node1.Addr(), 1400, packet.TCP{Src: node1.AddrPort(30080), Dst: sent.Src()}))
		web.Expect(t, tooLong(client.Addr(), web.Addr(), 1400, packet.TCP{Src: web.AddrPort(80), Dst: sent.Src()}))
	})
}

// tooLong is what a router says to a machine of a packet that has more than mtu bytes; nil is any.
func tooLong(router, to netip.Addr, mtu uint16, about packet.Template) packet.Template {
	if router.Is6() {
		return packet.ICMPv6{Src: router, Dst: to, Type: packet.ICMPv6PacketTooBig, MTU: uint32(mtu), Embedded: about}
	}
	return packet.ICMP{Src: router, Dst: to, Type: packet.ICMPDestinationUnreachable, Code: packet.ICMPFragmentationNeeded, MTU: mtu, Embedded: about}
}

// ipv6More is how much longer an IP header is in the lab's family than in IPv4.
func ipv6More(lab *harness.Lab) int {
	if lab.Family() == topo.IPv6 {
		return 20
	}
	return 0
}

// transport is a reply without the frame in which it would go back as the request came.
func transport(reply packet.Template) packet.Template { return reply.(packet.Layers)[1] }

// directly is a reply in a frame from another node than the request was sent to.
func directly(t testing.TB, lab *harness.Lab, node string, reply packet.Template) packet.Template {
	t.Helper()
	device, err := lab.Node(node).Network().Device(topo.NIC)
	require.NoError(t, err)
	return packet.Layers{packet.Ethernet{Src: device.MAC}, transport(reply)}
}

// inFamily is the address of the lab's family.
func inFamily(lab *harness.Lab, ipv4, ipv6 netip.Addr) netip.Addr {
	if lab.Family() == topo.IPv6 {
		return ipv6
	}
	return ipv4
}

// ipHeader is one from an address to another, with so many hops left (0: any).
func ipHeader(from, to netip.Addr, ttl uint8) packet.Template {
	if from.Is6() {
		return packet.IPv6{Src: from, Dst: to, HopLimit: ttl}
	}
	return packet.IPv4{Src: from, Dst: to, TTL: ttl}
}

// requireHeaders fails unless the packet had these headers at a hop.
func requireHeaders(t testing.TB, trace *harness.Trace, hop string, headers ...packet.Template) {
	t.Helper()
	trace.Passed(t, hop)
	for _, h := range trace.Hops() {
		if h.String() != hop {
			continue
		}
		p, err := packet.Decode(h.Data)
		require.NoError(t, err)
		if mismatch := packet.Match(packet.Layers(headers), p); mismatch != nil {
			require.Fail(t, mismatch.Error(), "at %s", hop)
		}
	}
}

// getOver fetches the page / over a connection, and returns it.
func getOver(t testing.TB, conn net.Conn) string {
	t.Helper()
	_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: service\r\n\r\n")
	require.NoError(t, err)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body)
}
