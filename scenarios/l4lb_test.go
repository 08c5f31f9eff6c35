package scenarios

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/l4lb"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// balanced is a service on the balancer: its address in the lab's family, and its servers.
type balanced struct {
	*harness.Served
	addr    netip.AddrPort
	servers []*harness.Machine
}

// balance adds a service on all servers of the lab.
func balance(t *testing.T, lab *harness.Lab, port packet.Port) balanced {
	t.Helper()
	b := balanced{addr: netip.AddrPortFrom(inFamily(lab, topo.ServiceIPv4(1), topo.ServiceIPv6(1)), port.Number)}
	for _, host := range lab.Network().Topology().Hosts {
		if host.Name != "client" && !host.Forwards {
			b.servers = append(b.servers, lab.Host(host.Name))
		}
	}
	b.Served = lab.AddService(t, harness.LoadBalancer(port, topo.ServiceIPv4(1), topo.ServiceIPv6(1), b.servers...))
	return b
}

// withdraw takes the routes by a balancer away from the router, as its routing protocol would have heard. Cutting the
// balancer's cable before is how it dies.
func withdraw(t *testing.T, lab *harness.Lab, gone string) {
	t.Helper()
	prefix := topo.ServicesIPv4
	if lab.Family() == topo.IPv6 {
		prefix = topo.ServicesIPv6
	}
	var alive []netip.Addr
	for _, node := range lab.Network().Topology().Nodes {
		if node.Name != gone {
			alive = append(alive, lab.Node(node.Name).Addr())
		}
	}
	require.NoError(t, lab.Host("router").Network().RouteAdd(prefix, alive...))
}

// B1: a client's packet passes the router and one balancer, in XDP, and reaches a server that takes it for its own; the
// answer passes neither.
func TestBalancer(t *testing.T) {
	t.Parallel()
	harness.Datapaths{l4lb.Datapath()}.Run(t, topo.Balancers(2, 2), func(t *testing.T, lab *harness.Lab) {
		client := lab.Host("client")
		each(t, []protocol{tcp, udp}, func(t *testing.T, p protocol) {
			service := balance(t, lab, p.port(80))
			sent := client.Send(t, p.request(service.addr))
			server := lab.Trace(t, sent).Reached(t, service.servers...)
			request := server.Expect(t, p.request(service.addr))
			require.Equal(t, sent.Src(), request.Src(), "the server must see the client itself")
			requireHops(t, request, 2)

			trace := lab.Trace(t, sent).Passed(t, "client/eth0 out", "router/eth0 in", "router/eth0 out", server.Name()+"/eth0 xdp PASS", server.Name()+"/eth0 in")
			balancer := balancerOf(t, lab, sent)
			trace.Never(t, balancer+"/eth0 in", balancer+"/eth0 out", balancer+" netfilter")
			requireHeaders(t, trace, balancer+"/eth0 xdp TX",
				ipHeader(lab.Node(balancer).Addr(), server.Addr(), 63), ipHeader(client.Addr(), service.addr.Addr(), 62), p.request(service.addr))

			reply := server.Send(t, transport(p.reply(request)))
			client.Expect(t, transport(p.reply(sent)))
			lab.Trace(t, reply).
				Passed(t, server.Name()+"/eth0 out", "client/eth0 in").
				Never(t, "router/eth0", "balancer1/eth0", "balancer2/eth0")
		})
	})
}

// B1: a balancer dies under hundreds of flows. The router shares flows anew among those that are left, even some that were
// theirs already, and every packet goes to the server where its flow was.
func TestFlowsKeepTheirServerWhenABalancerDies(t *testing.T) {
	t.Parallel()
	const flows = 300
	harness.Datapaths{l4lb.Datapath()}.Run(t, topo.Balancers(3, 4), func(t *testing.T, lab *harness.Lab) {
		client, service := lab.Host("client"), balance(t, lab, packet.TCPPort(80))
		send := func(flow int, flags packet.Flags) (server, balancer string) {
			sent := client.Send(t, packet.TCP{Src: client.AddrPort(uint16(20000 + flow)), Dst: service.addr, Flags: flags})
			server = lab.Trace(t, sent).Reached(t, service.servers...).Name()
			return server, balancerOf(t, lab, sent)
		}
		servers, balancers := make([]string, flows), make([]string, flows)
		for flow := range flows {
			servers[flow], balancers[flow] = send(flow, packet.SYN)
		}
		requireShares(t, servers, 4)
		requireShares(t, balancers, 3)

		require.NoError(t, lab.Network().SetPort("balancer2", false))
		withdraw(t, lab, "balancer2")
		moved := 0
		for flow := range flows {
			server, balancer := send(flow, packet.PSH|packet.ACK)
			require.Equal(t, servers[flow], server, "flow %d, by %s before and %s now", flow, balancers[flow], balancer)
			require.NotEqual(t, "balancer2", balancer)
			if balancer != balancers[flow] {
				moved++
			}
		}
		require.Greater(t, moved, flows/4, "flows that changed their balancer")

		require.NoError(t, lab.Network().SetPort("balancer2", true))
		withdraw(t, lab, "nobody")
		for flow := range flows {
			server, _ := send(flow, packet.PSH|packet.ACK)
			require.Equal(t, servers[flow], server, "flow %d after all balancers are back", flow)
		}
	})
}

// B1, S7: a balancer dies and a server leaves at once. Flows of the other servers keep them, but for the few that Maglev moves.
func TestFewFlowsMoveWhenAServerLeavesToo(t *testing.T) {
	t.Parallel()
	const flows = 300
	harness.Datapaths{l4lb.Datapath()}.Run(t, topo.Balancers(3, 4), func(t *testing.T, lab *harness.Lab) {
		client, service := lab.Host("client"), balance(t, lab, packet.TCPPort(80))
		send := func(flow int, flags packet.Flags) string {
			sent := client.Send(t, packet.TCP{Src: client.AddrPort(uint16(20000 + flow)), Dst: service.addr, Flags: flags})
			return lab.Trace(t, sent).Reached(t, service.servers...).Name()
		}
		var servers []string
		for flow := range flows {
			servers = append(servers, send(flow, packet.SYN))
		}
		service.Change(t, func(s *harness.Service) { s.Backends = s.Backends[:3] })
		require.NoError(t, lab.Network().SetPort("balancer1", false))
		withdraw(t, lab, "balancer1")
		defer func() { require.NoError(t, lab.Network().SetPort("balancer1", true)); withdraw(t, lab, "nobody") }()

		moved := 0
		for flow, before := range servers {
			if before != "server4" && send(flow, packet.PSH|packet.ACK) != before {
				moved++
			}
		}
		require.LessOrEqual(t, moved, flows*2/100, "flows that lost a server which is still there")
	})
}

// B1: real connections that talk all the while go on when their balancer dies.
func TestConnectionsGoOnWhenABalancerDies(t *testing.T) {
	t.Parallel()
	const connections = 48
	harness.Datapaths{l4lb.Datapath()}.Run(t, topo.Balancers(3, 4), func(t *testing.T, lab *harness.Lab) {
		client, service := lab.Host("client"), balance(t, lab, packet.TCPPort(80))
		for _, server := range service.servers {
			answerWithName(t, server, service.addr)
		}
		conns := make([]net.Conn, connections)
		for i := range conns {
			conns[i] = client.Dial(t, "tcp", service.addr)
			require.NoError(t, conns[i].SetDeadline(time.Now().Add(2*patience))) // lost packets come again after 200 ms and more
		}
		talk := func() []string { return askAll(t, conns) }
		before := talk()
		require.Len(t, distinct(before), 4, "all servers have connections") // of random ports: one chance in 200,000 that not

		// Under load: each connection asks on while the balancer dies and the router hears of it, but none outruns the capture.
		stop, load := make(chan struct{}), errgroup.Group{}
		for i, conn := range conns {
			load.Go(func() error {
				for {
					select {
					case <-stop:
						return nil
					default:
					}
					if name, err := askName(conn); err != nil || name != before[i] {
						return fmt.Errorf("connection %d asked %s and was answered %q: %w", i, before[i], name, err)
					}
					if err := lab.Sync(t.Context()); err != nil {
						return err
					}
				}
			})
		}
		require.NoError(t, lab.Network().SetPort("balancer3", false))
		withdraw(t, lab, "balancer3")
		close(stop)
		require.NoError(t, load.Wait())
		require.Equal(t, before, talk())

		require.NoError(t, lab.Network().SetPort("balancer3", true))
		withdraw(t, lab, "nobody")
		require.Equal(t, before, talk(), "after all balancers are back")
	})
}

// B1: a router on the way of an answer says that it is too long. Whichever balancer hears of it, the server that answered is
// told, and its stack understands.
func TestServersHearOfErrors(t *testing.T) {
	t.Parallel()
	harness.Datapaths{l4lb.Datapath()}.Run(t, topo.Balancers(3, 4), func(t *testing.T, lab *harness.Lab) {
		client, router, service := lab.Host("client"), lab.Host("router"), balance(t, lab, packet.TCPPort(80))
		for flow := range 32 {
			request := client.Send(t, packet.TCP{Src: client.AddrPort(uint16(20000 + flow)), Dst: service.addr, Flags: packet.SYN})
			server := lab.Trace(t, request).Reached(t, service.servers...)
			answer := packet.TCP{Src: service.addr, Dst: request.Src()}
			router.Send(t, tooLong(router.Addr(), service.addr.Addr(), 1400, answer)) // by way of the first balancer
			server.Expect(t, tooLong(router.Addr(), service.addr.Addr(), 1400, answer))
		}
	})
}

// answerWithName has a server answer each line that comes to the service's address with its own name.
func answerWithName(t *testing.T, server *harness.Machine, service netip.AddrPort) {
	t.Helper()
	process, err := server.Sockets()
	require.NoError(t, err)
	listener, err := process.Listen(t.Context(), "tcp", service.String())
	require.NoError(t, err)
	var serving errgroup.Group
	serving.Go(func() error {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return nil // the test is over
			}
			serving.Go(func() error {
				defer conn.Close()
				for lines := bufio.NewScanner(conn); lines.Scan(); {
					if _, err := fmt.Fprintln(conn, server.Name()); err != nil {
						return nil
					}
				}
				return nil
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		require.NoError(t, serving.Wait())
	})
}

// askAll asks over all connections side by side, and returns who answered each.
func askAll(t *testing.T, conns []net.Conn) []string {
	t.Helper()
	names := make([]string, len(conns))
	var asking errgroup.Group
	for i, conn := range conns {
		asking.Go(func() (err error) {
			names[i], err = askName(conn)
			return err
		})
	}
	require.NoError(t, asking.Wait())
	return names
}

func askName(conn net.Conn) (name string, err error) {
	if _, err := fmt.Fprintln(conn, "who are you?"); err != nil {
		return "", err
	}
	_, err = fmt.Fscanln(conn, &name)
	return name, err
}

// balancerOf is the balancer that a packet passed.
func balancerOf(t *testing.T, lab *harness.Lab, p *packet.Packet) string {
	t.Helper()
	require.NoError(t, lab.Sync(t.Context()))
	for _, hop := range lab.Trace(t, p).Hops() {
		if hop.At == "xdp" && hop.Detail == "TX" {
			return hop.Machine
		}
	}
	require.Fail(t, "no balancer sent the packet on in XDP", "%s", lab.Trace(t, p))
	return ""
}

// requireShares fails unless so many have a fair share: at least half of what is theirs.
func requireShares(t *testing.T, chosen []string, among int) {
	t.Helper()
	shares := map[string]int{}
	for _, name := range chosen {
		shares[name]++
	}
	require.Len(t, shares, among)
	for name, share := range shares {
		require.GreaterOrEqual(t, share, len(chosen)/among/2, "share of %s in %v", name, shares)
	}
}
