package harness

import (
	"context"
	"net/netip"
	"time"

	"github.com/skbench/skbench/harness/feature"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// Datapath forwards packets in a lab. It is a description: nothing exists until
// Up. The packages under harness/datapath hold one each; the example is a whole one
// with a test on it.
type Datapath interface {
	// Name is what subtests and results call it: "ebpf", "iptables".
	Name() string

	// Needs is what a machine must have for it: without, tests on it are skipped.
	Needs() []*feature.Feature

	// LeavesQuotedChecksums says that where it translates a packet that an ICMP error
	// quotes, it leaves the checksum of the quoted TCP or UDP header as it was. Any
	// other checksum that is wrong fails a test.
	LeavesQuotedChecksums() bool

	// Up puts the datapath on every node of a network that is up, and calls
	// observe, from any goroutine, for each hop that the datapath itself reports.
	// On error nothing of the datapath is left.
	Up(ctx context.Context, network *topo.Network, observe func(Hop)) (Forwarder, error)
}

// Forwarder is a datapath in place. The lab closes it before the network.
type Forwarder interface {
	// Serve makes the datapath serve exactly these services on every node. No
	// packet sees a service half written.
	Serve(ctx context.Context, services []Service) error

	// Forget ends every flow that the datapath knows, as if none had been: the next
	// packet of each is a first one.
	Forget(ctx context.Context) error

	// Drops counts the packets dropped so far: node → reason → packets.
	Drops() (map[string]map[string]uint64, error)

	// Lost counts the hops that the datapath could not report, since more happened at
	// once than can be read: node → hops.
	Lost() (map[string]uint64, error)

	// Sync returns once every hop of the packets that went through before the
	// call was observed.
	Sync(ctx context.Context) error

	// Phases tells how long each step of coming up took, in order.
	Phases() []topo.Phase

	Close() error
}

// Service is what a datapath must serve: frontends that lead to backends. A zero
// port or an absent address is a frontend that the service does not have.
type Service struct {
	Name string
	Port packet.Port // of the cluster, external and balancer addresses, and its protocol

	ClusterIPv4, ClusterIPv6 netip.Addr   // given by the lab when left zero
	ExternalIPs              []netip.Addr // that the world routes to the nodes, of either family
	LoadBalancerIPs          []netip.Addr // the same, given by a balancer: SourceRanges apply
	NodePort                 uint16       // on every node's own addresses
	HostPort                 uint16       // on the addresses of each backend's own node, to that backend

	Affinity time.Duration // one client keeps its backend for so long after its last flow; 0: every flow chooses

	// Local: only backends on the node that the packet came to, and the client's
	// address kept. External is for packets from outside by any address but the
	// cluster's; Internal for pods and nodes by the cluster address.
	ExternalTraffic, InternalTraffic TrafficPolicy

	SourceRanges []netip.Prefix // who may use LoadBalancerIPs; none given: everyone

	Backends []Backend
}

// TrafficPolicy says which backends may be chosen.
type TrafficPolicy uint8

const (
	Cluster TrafficPolicy = iota // all
	Local                        // those on the same node
)

// Backend is a pod's port that a service leads to.
type Backend struct {
	Pod        string
	Node       string // that the pod runs on
	IPv4, IPv6 netip.Addr
	Port       uint16

	// Terminating: keeps the flows that it has and gets new ones only when every
	// backend of the service is terminating.
	Terminating bool
}

// NodePort describes a service on a port of every node that leads to the target
// port of the pods.
func NodePort(port uint16, target packet.Port, pods ...*Machine) Service {
	s := ClusterIP(target, target.Number, pods...)
	s.NodePort = port
	return s
}

// LoadBalancer describes a service on addresses that a balancer announces, one of
// each family, which leads to the same port of pods, or of hosts.
func LoadBalancer(port packet.Port, ipv4, ipv6 netip.Addr, targets ...*Machine) Service {
	s := ClusterIP(port, port.Number, targets...)
	s.LoadBalancerIPs = []netip.Addr{ipv4, ipv6}
	return s
}

// ClusterIP describes a service on a cluster address, given by the lab, that
// leads from the port to the target port of the pods.
func ClusterIP(port packet.Port, target uint16, pods ...*Machine) Service {
	s := Service{Port: port}
	for _, pod := range pods {
		addrs := pod.lab.addrs[pod.name]
		s.Backends = append(s.Backends, Backend{
			Pod: pod.name, Node: addrs.node, IPv4: addrs.ipv4, IPv6: addrs.ipv6, Port: target,
		})
	}
	return s
}
