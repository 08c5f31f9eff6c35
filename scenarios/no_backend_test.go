package scenarios

import (
	"context"
	"errors"
	"net/netip"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/ebpf"
	"github.com/skbench/skbench/harness/feature"
	"github.com/skbench/skbench/harness/packet"
)

// S10: who asks a service without backends is told at once, wherever it is asked,
// by an ICMP error about the packet that was sent.
func TestNoBackend(t *testing.T) {
	t.Parallel()
	everyServer.Run(t, routed(2), func(t *testing.T, lab *harness.Lab) {
		client, pod, node1, web := lab.Host("client"), lab.Pod("client-on-node1"), lab.Node("node1"), lab.Pod("web-on-node1")
		each(t, []protocol{tcp, udp}, func(t *testing.T, p protocol) {
			service := harness.NodePort(30080, p.port(80))
			service.ExternalIPs = external
			served := lab.AddService(t, service)
			for _, c := range []struct {
				name string
				from *harness.Machine
				at   netip.AddrPort
			}{
				{"cluster address", pod, served.AddrPort()},
				{"node port", client, node1.AddrPort(30080)},
				{"node port from a pod", pod, node1.AddrPort(30080)},
				{"external address", client, externalAt(lab, 80)},
			} {
				t.Run(c.name, func(t *testing.T) {
					before := lab.Drops(t)["node1"]["NO_BACKEND"]
					sent := c.from.Send(t, p.request(c.at))
					c.from.Expect(t, unreachable(sent))
					require.Equal(t, before+1, lab.Drops(t)["node1"]["NO_BACKEND"])
				})
			}
			served.Change(t, func(s *harness.Service) { s.Backends = harness.NodePort(0, p.port(80), web).Backends })
			requireServed(t, p, client, node1.AddrPort(30080), web)
			requireServed(t, p, pod, served.AddrPort(), web)
		})
	})
}

// S10: a client's kernel takes that for a refusal, as it does when it is told at the
// socket.
func TestNoBackendIsRefused(t *testing.T) {
	t.Parallel()
	append(harness.Datapaths{ebpf.Datapath(ebpf.WithoutSockets())}, everyServer...).Run(t, routed(2), func(t *testing.T, lab *harness.Lab) {
		service := harness.NodePort(30080, packet.TCPPort(80))
		service.ExternalIPs = external
		served := lab.AddService(t, service)
		for _, c := range []struct {
			name  string
			from  *harness.Machine
			at    netip.AddrPort
			needs []*feature.Feature
		}{
			{"cluster address", lab.Pod("client-on-node1"), served.AddrPort(), refusedAtSocket(lab)},
			{"node port", lab.Host("client"), lab.Node("node1").AddrPort(30080), nil},
			{"external address", lab.Host("client"), externalAt(lab, 80), nil},
		} {
			t.Run(c.name, func(t *testing.T) {
				feature.Need(t, c.needs...)
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				conn, err := c.from.DialContext(ctx, "tcp", c.at.String())
				if err == nil {
					conn.Close()
				}
				require.True(t, errors.Is(err, syscall.ECONNREFUSED), "%v", err)
			})
		}
	})
}

// refusedAtSocket is what a pod is refused by, where that is done at its socket: without,
// the kernel calls every refusal "operation not permitted".
func refusedAtSocket(lab *harness.Lab) []*feature.Feature {
	if name := lab.Datapath().Name(); name == onlyEBPF[0].Name() || name == withoutXDP.Name() {
		return []*feature.Feature{feature.SetRetval}
	}
	return nil
}

// unreachable is the error that nobody is at the port that a packet was sent to.
// It quotes the packet.
func unreachable(sent *packet.Packet) packet.Template {
	about := packet.Template(packet.TCP{Src: sent.Src(), Dst: sent.Dst()})
	if _, ok := sent.UDP(); ok {
		about = packet.UDP{Src: sent.Src(), Dst: sent.Dst()}
	}
	if sent.Dst().Addr().Is6() {
		return packet.ICMPv6{Type: packet.ICMPv6DestinationUnreachable, Code: packet.ICMPv6PortUnreachable, Embedded: about}
	}
	return packet.ICMP{Type: packet.ICMPDestinationUnreachable, Code: packet.ICMPPortUnreachable, Embedded: about}
}
