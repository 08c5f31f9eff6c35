package scenarios

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/ebpf"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// S13: while ports for source translation last, every flow has one of its own;
// the flow after the last is dropped for that reason, and no other flow's packets
// go astray. A port whose flow is forgotten is free again.
func TestSourcePortsRunOut(t *testing.T) {
	t.Parallel()
	const ports = 4
	few := ebpf.WithSNATPorts(bpf.PortRange{Min: 50000, Max: 50000 + ports - 1})
	harness.Datapaths{ebpf.Datapath(few), ebpf.Datapath(few, ebpf.WithoutXDP())}.Run(t, topo.Cluster(2), func(t *testing.T, lab *harness.Lab) {
		client, node1, web := lab.Host("client"), lab.Node("node1"), lab.Pod("web-on-node2")
		each(t, []protocol{tcp, udp}, func(t *testing.T, p protocol) {
			lab.AddService(t, harness.NodePort(30080, p.port(80), web))
			at := node1.AddrPort(30080)
			sent, seen := map[uint16]*packet.Packet{}, map[netip.AddrPort]uint16{}
			for port := range uint16(ports) {
				sent[port] = client.Send(t, p.requestFrom(40000+port, at))
				request := web.Expect(t, p.request(web.AddrPort(80)))
				require.NotContains(t, seen, request.Src(), "two flows share a tuple")
				seen[request.Src()] = port
				web.Send(t, p.reply(request))
				client.Expect(t, p.reply(sent[port]))
			}

			before := lab.Drops(t)["node1"]["SNAT_NO_PORT"]
			client.Send(t, p.requestFrom(40000+ports, at))
			web.ExpectNone(t, p.request(web.AddrPort(80)))
			require.Equal(t, before+1, lab.Drops(t)["node1"]["SNAT_NO_PORT"])
			for port := range sent {
				client.Send(t, p.requestFrom(40000+port, at))
				request := web.Expect(t, p.request(web.AddrPort(80)))
				require.Equal(t, port, seen[request.Src()], "a flow keeps its port while others find none")
			}

			require.NoError(t, lab.Forget(t.Context()))
			requireServed(t, p, client, at, web)
		})
	})
}

// S14: a client that uses its port again, after the connection before has ended,
// has a new connection, which chooses among the backends of now.
func TestPortIsUsedAgain(t *testing.T) {
	t.Parallel()
	harness.Datapaths{ebpf.Datapath(), withoutXDP}.Run(t, topo.Cluster(3), func(t *testing.T, lab *harness.Lab) {
		client, node1 := lab.Host("client"), lab.Node("node1")
		before, after := lab.Pod("web-on-node2"), lab.Pod("web-on-node3")
		for name, end := range map[string]packet.Flags{"after a reset": packet.RST | packet.ACK, "after both ends": packet.FIN | packet.ACK} {
			t.Run(name, func(t *testing.T) {
				service := harness.NodePort(30080, tcp.port(80), before, after)
				backends := service.Backends
				service.Backends = backends[:1]
				served := lab.AddService(t, service)
				f := start(t, tcp, client, node1.AddrPort(30080), before)
				f.goesOn(t, before)
				served.Change(t, func(s *harness.Service) { s.Backends = backends[1:] })
				f.goesOn(t, before)

				client.Send(t, f.answered.Reply(end))
				ended := before.Expect(t, packet.TCP{Dst: before.AddrPort(80), Flags: end})
				if end&packet.FIN != 0 {
					before.Send(t, ended.Reply(end))
					client.Expect(t, packet.TCP{Src: node1.AddrPort(30080), Flags: end})
				}
				client.Send(t, tcp.requestFrom(f.sent.Src().Port(), node1.AddrPort(30080)))
				after.Expect(t, tcp.request(after.AddrPort(80)))
				served.Remove(t)
			})
		}
	})
}

// S14: where flows are more than the table holds, some are forgotten. While an
// answer to one of those may still be on its way, nobody else has its source port:
// the answer reaches the client that it is for, or nobody.
func TestFullTable(t *testing.T) {
	t.Parallel()
	const flows, ports = 400, 1024
	small := ebpf.WithMapSizes(bpf.MapSizes{Flows: 128})
	few := ebpf.WithSNATPorts(bpf.PortRange{Min: 50000, Max: 50000 + ports - 1})
	harness.Datapaths{ebpf.Datapath(small, few), ebpf.Datapath(small, few, ebpf.WithoutXDP())}.Run(t, topo.Cluster(2), func(t *testing.T, lab *harness.Lab) {
		client, node1, web := lab.Host("client"), lab.Node("node1"), lab.Pod("web-on-node2")
		lab.AddService(t, harness.NodePort(30080, udp.port(80), web))
		type use struct {
			port  uint16
			since time.Time // not before that
		}
		users := map[netip.AddrPort]use{}
		for port := range uint16(flows) {
			user := use{20000 + port, time.Now()}
			sent := client.Send(t, udp.requestFrom(user.port, node1.AddrPort(30080)))
			request := web.Expect(t, udp.request(web.AddrPort(80)))
			if before, used := users[request.Src()]; used {
				require.Greater(t, time.Since(before.since), 3900*time.Millisecond, "%s has been another client's until just now", request.Src())
			}
			users[request.Src()] = user
			if port%2 == 0 {
				web.Send(t, udp.reply(request))
				client.Expect(t, udp.reply(sent))
			}
		}
		answers := map[uint64]uint16{}
		for from, user := range users {
			cookie, _ := web.Send(t, packet.UDP{Src: web.AddrPort(80), Dst: from}).Cookie()
			answers[cookie] = user.port
		}
		delivered := 0
		for _, frame := range lab.Frames(t) {
			p, err := packet.Decode(frame.Data)
			if err != nil || frame.Device.Machine != "client" || frame.Direction != topo.In {
				continue
			}
			if cookie, found := p.Cookie(); found && answers[cookie] != 0 {
				delivered++
				require.Equal(t, answers[cookie], p.Dst().Port(), "%s is not for that port", p)
			}
		}
		require.Positive(t, delivered, "the newest flows are known")
		require.Less(t, delivered, len(users), "the table must have been full")
	})
}
