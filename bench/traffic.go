package bench

import (
	"fmt"
	"net/netip"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// traffic is what the tester sends: one UDP datagram of each flow in turn to a
// node port of the node under test.
type traffic struct {
	family   topo.Family
	flows    int // a power of two, at most 65536
	size     int // of the frame in bytes, its check sequence of 4 included, as RFC 2544 counts; or imix
	services int // one on each node port from firstNodePort on
	backends int // of each service; 0: the services share pods backends out among them
	busy     int // how many of the services the flows are spread over; 0: all

	local bool // the backend is a pod of the node under test
}

// imix is the size of frames that are mixed, flow by flow: of 12 frames 7 have 64
// bytes, 4 have 570 and one has 1518.
const imix = 0

var imixSizes = [12]int{64, 570, 64, 570, 64, 64, 1518, 64, 570, 64, 570, 64}

// localPod is the backend on the node under test.
const localPod = "web-on-lb"

// topology is what the traffic needs: where node 2 cannot have all backends, the tester
// stands in for the nodes after it, too.
func (t traffic) topology() topo.Topology {
	wire := topo.Wire()
	for node := 3; node < 2+(t.backends+podsOfNode-1)/podsOfNode; node++ {
		wire.Routes = append(wire.Routes,
			topo.Route{Machine: underTest, Prefix: topo.PodsIPv4(node), Via: topo.NodeIPv4(2)},
			topo.Route{Machine: underTest, Prefix: topo.PodsIPv6(node), Via: topo.NodeIPv6(2)})
	}
	if t.local {
		wire.AddPod(localPod, wire.Nodes[0].Name)
	}
	return wire
}

// service is the one that a flow goes to. Those that are busy stand at even distances in the order of all services; a
// single one stands in the middle.
func (t traffic) service(flow int) int {
	busy := t.busy
	if busy == 0 {
		busy = t.services
	}
	return (2*(flow%busy) + 1) * t.services / (2 * busy)
}

// headers builds the beginning of each flow's frame, and one whole frame, of those the
// longest.
func (t traffic) headers(network *topo.Network) (headers []wireHeader, frame []byte, err error) {
	topology := network.Topology()
	node, tester := topology.Nodes[0], topology.Hosts[0]
	target, clients := node.IPv4, topo.BenchmarkIPv4.Addr()
	if t.family == topo.IPv6 {
		target, clients = node.IPv6, topo.BenchmarkIPv6.Addr()
	}
	headers = make([]wireHeader, t.flows)
	for i := range headers {
		if i%256 == 0 {
			clients = clients.Next()
		}
		p, err := packet.Build(packet.UDP{
			Src:     netip.AddrPortFrom(clients, uint16(10000+i%256)),
			Dst:     netip.AddrPortFrom(target, firstNodePort+uint16(t.service(i))),
			Payload: make([]byte, t.payload(i)),
		}, packet.Defaults{SrcMAC: tester.MAC, DstMAC: node.MAC})
		if err != nil {
			return nil, nil, fmt.Errorf("bench: build the frame of flow %d: %w", i, err)
		}
		copy(headers[i].Bytes[:], p.Data)
		headers[i].FrameLen = uint32(len(p.Data))
		if len(p.Data) > len(frame) {
			frame = p.Data
		}
	}
	return headers, frame, nil
}

// payload is how many bytes of UDP payload fill a frame of the flow.
func (t traffic) payload(flow int) int {
	const ethernet, ipv4, ipv6, udp, check = 14, 20, 40, 8, 4
	size := t.size
	if size == imix {
		size = imixSizes[flow%len(imixSizes)]
	}
	if t.family == topo.IPv6 {
		return max(size-ethernet-ipv6-udp-check, 2) // 64 bytes are too few: wire.c has the shortest
	}
	return size - ethernet - ipv4 - udp - check
}

func keys(n int) []uint32 {
	all := make([]uint32, n)
	for i := range all {
		all[i] = uint32(i)
	}
	return all
}

// pods are how many backends share the flows, so that no backend's answers need
// more ports than a node has.
const pods = 16

// podsOfNode is how many a node has at most.
const podsOfNode = 250

// served are the services that the traffic is for. Where they share the backends
// out among them and are more than these, each has one.
func (t traffic) served() []harness.Service {
	services := make([]harness.Service, t.services)
	ipv4, ipv6 := netip.MustParseAddr("192.168.0.0"), netip.MustParseAddr("fd00:192:168::")
	for i := range services {
		ipv4, ipv6 = ipv4.Next(), ipv6.Next()
		services[i] = harness.Service{
			Name: fmt.Sprintf("bench%d", i), Port: packet.UDPPort(backendPort), NodePort: firstNodePort + uint16(i),
			ClusterIPv4: ipv4, ClusterIPv6: ipv6,
		}
	}
	if t.local {
		pod := t.topology().Pods[0]
		for i := range services {
			services[i].Backends = []harness.Backend{{Pod: pod.Name, Node: pod.Node, Port: backendPort, IPv4: pod.IPv4, IPv6: pod.IPv6}}
		}
		return services
	}
	backends := max(t.services, pods)
	if t.backends > 0 {
		backends = t.services * t.backends
	}
	for i := range backends {
		n, to := i%max(pods, t.backends), &services[i%t.services]
		node, pod := 2+n/podsOfNode, 1+n%podsOfNode
		to.Backends = append(to.Backends, harness.Backend{
			Pod: fmt.Sprintf("web%d-on-node%d", pod, node), Node: fmt.Sprintf("node%d", node), Port: backendPort,
			IPv4: topo.PodIP(topo.PodsIPv4(node), pod), IPv6: topo.PodIP(topo.PodsIPv6(node), pod),
		})
	}
	return services
}
