package bench

import (
	"fmt"
	"net/netip"

	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// traffic is what the tester sends: one UDP datagram of each flow in turn to the
// node port of the node under test.
type traffic struct {
	family topo.Family
	flows  int // a power of two, at most 65536
	size   int // of the frame in bytes, its check sequence of 4 included, as RFC 2544 counts
}

// headers builds the beginning of each flow's frame, and one whole frame.
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
			Dst:     netip.AddrPortFrom(target, nodePort),
			Payload: make([]byte, t.payload()),
		}, packet.Defaults{SrcMAC: tester.MAC, DstMAC: node.MAC})
		if err != nil {
			return nil, nil, fmt.Errorf("bench: build the frame of flow %d: %w", i, err)
		}
		copy(headers[i].Bytes[:], p.Data)
		frame = p.Data
	}
	return headers, frame, nil
}

// payload is how many bytes of UDP payload fill a frame of the size.
func (t traffic) payload() int {
	const ethernet, ipv4, ipv6, udp, check = 14, 20, 40, 8, 4
	if t.family == topo.IPv6 {
		return max(t.size-ethernet-ipv6-udp-check, 2) // 64 bytes are too few: wire.c has the shortest
	}
	return t.size - ethernet - ipv4 - udp - check
}

func keys(n int) []uint32 {
	all := make([]uint32, n)
	for i := range all {
		all[i] = uint32(i)
	}
	return all
}
