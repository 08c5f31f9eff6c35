package scenarios

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/feature"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// Addresses that the world routes to the nodes, of each family.
var (
	externalIPs     = map[topo.Family]netip.Addr{topo.IPv4: netip.MustParseAddr("203.0.113.1"), topo.IPv6: netip.MustParseAddr("2001:db8:203::1")}
	loadBalancerIPs = map[topo.Family]netip.Addr{topo.IPv4: netip.MustParseAddr("198.51.100.1"), topo.IPv6: netip.MustParseAddr("2001:db8:198::1")}
	loopbacks       = map[topo.Family]netip.Addr{topo.IPv4: netip.MustParseAddr("127.0.0.1"), topo.IPv6: netip.IPv6Loopback()}
)

func both(addrs map[topo.Family]netip.Addr) []netip.Addr {
	return []netip.Addr{addrs[topo.IPv4], addrs[topo.IPv6]}
}

// S2 at the socket: every address by which a service is reached becomes the backend's for the sockets of a pod and of the node
// itself, before there is a packet, and is what the application is told of.
func TestSocketReachesServicesByEveryAddress(t *testing.T) {
	t.Parallel()
	feature.Need(t, feature.EBPFSockets)
	onlyEBPF.Run(t, topo.Cluster(2), func(t *testing.T, lab *harness.Lab) {
		pod, node1, node2 := lab.Pod("client-on-node1"), lab.Node("node1"), lab.Node("node2")
		near, far := lab.Pod("web-on-node1"), lab.Pod("web-on-node2")
		for _, port := range []func(uint16) packet.Port{packet.TCPPort, packet.UDPPort} {
			answer(t, near, port(80))
			answer(t, far, port(80))
			service := harness.ClusterIP(port(8080), 80, far)
			service.NodePort, service.ExternalIPs, service.LoadBalancerIPs = 30080, both(externalIPs), both(loadBalancerIPs)
			served := lab.AddService(t, service)
			onHost := harness.ClusterIP(port(9090), 80, near)
			onHost.HostPort = 31080
			lab.AddService(t, onHost)

			network := strings.ToLower(port(0).Protocol.String())
			reaches := func(client *harness.Machine, how string, to netip.AddrPort, backend *harness.Machine, needs ...*feature.Feature) {
				t.Run(network+" from "+client.Name()+" to "+how, func(t *testing.T) {
					feature.Need(t, needs...)
					wire := watch(t, lab)
					conn := client.Dial(t, network, to)
					require.Equal(t, to, peerOf(t, conn))
					require.Equal(t, backend.Name(), ask(t, conn))
					if network == "udp" {
						require.Equal(t, backend.Name(), askOf(t, client.ListenPacket(t, 0), to))
					}
					wire.never(t, to)
				})
			}
			for _, client := range []*harness.Machine{pod, node1} {
				reaches(client, "the cluster address", served.AddrPort(), far)
				reaches(client, "an external address", netip.AddrPortFrom(externalIPs[lab.Family()], 8080), far)
				reaches(client, "a balancer's address", netip.AddrPortFrom(loadBalancerIPs[lab.Family()], 8080), far)
				reaches(client, "a node port of its node", node1.AddrPort(30080), far)
				reaches(client, "a node port of another node", node2.AddrPort(30080), far)
				reaches(client, "a host port of its node", node1.AddrPort(31080), near)
			}
			reaches(pod, "a node port of its gateway", netip.AddrPortFrom(pod.Gateway(), 30080), far)
			reaches(node1, "a node port of its loopback", netip.AddrPortFrom(loopbacks[lab.Family()], 30080), far, feature.NetNSCookie)
		}
	})
}

// A host port is that of one node. By another node's address its packets go there, as anyone's do.
func TestSocketLeavesAnothersHostPortToItsNode(t *testing.T) {
	t.Parallel()
	feature.Need(t, feature.EBPFSockets)
	onlyEBPF.Run(t, topo.Cluster(2), func(t *testing.T, lab *harness.Lab) {
		client, near, far := lab.Pod("client-on-node1"), lab.Pod("web-on-node1"), lab.Pod("web-on-node2")
		answer(t, near, packet.TCPPort(80))
		answer(t, far, packet.TCPPort(80))
		service := harness.ClusterIP(packet.TCPPort(8080), 80, near, far)
		service.HostPort = 31080
		lab.AddService(t, service)
		require.Equal(t, far.Name(), ask(t, client.Dial(t, "tcp", lab.Node("node2").AddrPort(31080))))
	})
}

// The node's loopback is not that of its pods.
func TestSocketInAPodHasALoopbackOfItsOwn(t *testing.T) {
	t.Parallel()
	feature.Need(t, feature.EBPFSockets)
	onlyEBPF.Run(t, topo.Cluster(1), func(t *testing.T, lab *harness.Lab) {
		web := lab.Pod("web-on-node1")
		answer(t, web, packet.TCPPort(80))
		lab.AddService(t, harness.NodePort(30080, packet.TCPPort(80), web))
		to := netip.AddrPortFrom(loopbacks[lab.Family()], 30080)
		_, err := lab.Pod("client-on-node1").DialContext(t.Context(), "tcp", to.String())
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		require.Zero(t, lab.Drops(t)["node1"]["NO_BACKEND"])
	})
}

// S10 at the socket: a service without backends for this client refuses at once, with the error that a closed port gives, and
// the reason is counted.
func TestSocketIsRefusedWithoutBackends(t *testing.T) {
	t.Parallel()
	feature.Need(t, feature.EBPFSockets, feature.SetRetval)
	onlyEBPF.Run(t, topo.Cluster(2), func(t *testing.T, lab *harness.Lab) {
		client, far := lab.Pod("client-on-node1"), lab.Pod("web-on-node2")
		for _, port := range []packet.Port{packet.TCPPort(8080), packet.UDPPort(8080)} {
			for _, c := range []struct {
				why     string
				service harness.Service
				reason  string
			}{
				{"there are none", harness.ClusterIP(port, 80), "NO_BACKEND"},
				{"none is on the node", withInternalLocal(harness.ClusterIP(port, 80, far)), "NO_LOCAL_BACKEND"},
			} {
				t.Run(port.Protocol.String()+" "+c.why, func(t *testing.T) {
					service := lab.AddService(t, c.service)
					defer service.Remove(t)
					before := lab.Drops(t)["node1"][c.reason]
					calls := uint64(1)
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					defer cancel()
					_, err := client.DialContext(ctx, strings.ToLower(port.Protocol.String()), service.AddrPort().String())
					require.ErrorIs(t, err, syscall.ECONNREFUSED)
					if port.Protocol == packet.ProtocolUDP {
						calls++
						_, err = client.ListenPacket(t, 0).WriteTo([]byte("anyone?"), net.UDPAddrFromAddrPort(service.AddrPort()))
						require.ErrorIs(t, err, syscall.ECONNREFUSED)
					}
					require.Equal(t, before+calls, lab.Drops(t)["node1"][c.reason])
				})
			}
		}
	})
}

func withInternalLocal(s harness.Service) harness.Service {
	s.InternalTraffic = harness.Local
	return s
}

// S9 at the socket: internal traffic policy Local chooses among the node's own backends; external policy is none of a pod's
// business, not even at an address that the world uses.
func TestSocketFollowsTrafficPolicies(t *testing.T) {
	t.Parallel()
	feature.Need(t, feature.EBPFSockets)
	onlyEBPF.Run(t, topo.Cluster(2), func(t *testing.T, lab *harness.Lab) {
		client, near, far := lab.Pod("client-on-node1"), lab.Pod("web-on-node1"), lab.Pod("web-on-node2")
		answer(t, near, packet.TCPPort(80))
		answer(t, far, packet.TCPPort(80))
		internal := lab.AddService(t, withInternalLocal(harness.ClusterIP(packet.TCPPort(8080), 80, near, far)))
		for range 20 {
			require.Equal(t, near.Name(), ask(t, client.Dial(t, "tcp", internal.AddrPort())))
		}
		external := harness.NodePort(30080, packet.TCPPort(80), far)
		external.ExternalTraffic, external.LoadBalancerIPs = harness.Local, both(loadBalancerIPs)
		lab.AddService(t, external)
		require.Equal(t, far.Name(), ask(t, client.Dial(t, "tcp", netip.AddrPortFrom(loadBalancerIPs[lab.Family()], 80))))
		require.Equal(t, far.Name(), ask(t, client.Dial(t, "tcp", lab.Node("node1").AddrPort(30080))))
	})
}

// S9 at the socket: who may use a balancer's address is decided by the source of the packet, so its packets are left to name it.
func TestSocketLeavesSourceRangesToPackets(t *testing.T) {
	t.Parallel()
	feature.Need(t, feature.EBPFSockets)
	onlyEBPF.Run(t, topo.Cluster(2), func(t *testing.T, lab *harness.Lab) {
		client, web := lab.Pod("client-on-node1"), lab.Pod("web-on-node2")
		answer(t, web, packet.TCPPort(80))
		ranged := harness.ClusterIP(packet.TCPPort(80), 80, web)
		ranged.LoadBalancerIPs = both(loadBalancerIPs)
		ranged.SourceRanges = []netip.Prefix{netip.PrefixFrom(client.Addr(), client.Addr().BitLen())}
		served := lab.AddService(t, ranged)
		to := netip.AddrPortFrom(loadBalancerIPs[lab.Family()], 80)

		wire := watch(t, lab)
		conn := client.Dial(t, "tcp", to)
		require.Equal(t, to, peerOf(t, conn))
		require.Equal(t, web.Name(), ask(t, conn))
		require.Equal(t, to, wire.sentOn(t, client, conn)[0].Dst())

		served.Change(t, func(s *harness.Service) {
			s.SourceRanges = []netip.Prefix{netip.PrefixFrom(web.Addr(), web.Addr().BitLen())}
		})
		before := lab.Drops(t)["node1"]["SOURCE_RANGE"]
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		dialled := make(chan error, 1)
		go func() {
			_, err := client.DialContext(ctx, "tcp", to.String())
			dialled <- err
		}()
		for lab.Drops(t)["node1"]["SOURCE_RANGE"] == before {
			require.Empty(t, dialled, "nobody answers")
		}
		cancel()
		require.ErrorIs(t, <-dialled, context.Canceled)
	})
}

// S8 at the socket: with affinity all sockets of a pod talk to one backend.
func TestSocketsOfAPodKeepTheirBackend(t *testing.T) {
	t.Parallel()
	feature.Need(t, feature.EBPFSockets)
	onlyEBPF.Run(t, topo.Cluster(3), func(t *testing.T, lab *harness.Lab) {
		var webs []*harness.Machine
		for _, name := range []string{"web-on-node1", "web-on-node2", "web-on-node3"} {
			web := lab.Pod(name)
			answer(t, web, packet.UDPPort(53))
			webs = append(webs, web)
		}
		service := harness.ClusterIP(packet.UDPPort(53), 53, webs...)
		service.Affinity = time.Hour
		affine := lab.AddService(t, service)
		for _, client := range []*harness.Machine{lab.Pod("client-on-node1"), lab.Node("node1")} {
			first := ask(t, client.Dial(t, "udp", affine.AddrPort()))
			for range 20 {
				require.Equal(t, first, ask(t, client.Dial(t, "udp", affine.AddrPort())))
				require.Equal(t, first, askOf(t, client.ListenPacket(t, 0), affine.AddrPort()))
			}
			index := slices.IndexFunc(webs, func(w *harness.Machine) bool { return w.Name() == first })
			affine.Change(t, func(s *harness.Service) { s.Backends = slices.Delete(s.Backends, index, index+1) })
			second := ask(t, client.Dial(t, "udp", affine.AddrPort()))
			require.NotEqual(t, first, second, "%s: its backend is gone", client.Name())
			affine.Change(t, func(s *harness.Service) { s.Backends = service.Backends })
			for range 20 {
				require.Equal(t, second, ask(t, client.Dial(t, "udp", affine.AddrPort())))
			}
		}
	})
}
