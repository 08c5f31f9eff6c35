// Package example has the services that the tests of iptables, nftables and ipvs write down, each in its own way.
package example

import (
	"net/netip"
	"time"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// Backend is the pod web-on-NODE of a cluster, NODE having that number.
func Backend(node string, number int) harness.Backend {
	return harness.Backend{
		Pod: "web-on-" + node, Node: node, IPv4: topo.PodIP(topo.PodsIPv4(number), 1), IPv6: topo.PodIP(topo.PodsIPv6(number), 1), Port: 80,
	}
}

// Plain is a node port with two backends, and a service that has lost all of its own.
func Plain() []harness.Service {
	return []harness.Service{
		{
			Name: "web", Port: packet.TCPPort(8080), NodePort: 32000,
			ClusterIPv4: netip.MustParseAddr("192.168.0.1"), ClusterIPv6: netip.MustParseAddr("fd00:192:168::1"),
			Backends: []harness.Backend{Backend("node1", 1), Backend("node2", 2)},
		},
		{
			Name: "gone", Port: packet.UDPPort(53), NodePort: 32001,
			ClusterIPv4: netip.MustParseAddr("192.168.0.2"), ClusterIPv6: netip.MustParseAddr("fd00:192:168::2"),
		},
	}
}

// Full is a service with all that a service can have, its one backend on node2.
func Full() []harness.Service {
	return []harness.Service{{
		Name: "all", Port: packet.TCPPort(443), NodePort: 32443, HostPort: 8443,
		ClusterIPv4: netip.MustParseAddr("192.168.0.3"), ClusterIPv6: netip.MustParseAddr("fd00:192:168::3"),
		ExternalIPs:     []netip.Addr{netip.MustParseAddr("198.51.100.1")},
		LoadBalancerIPs: []netip.Addr{netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("2001:db8::1")},
		Affinity:        10 * time.Second,
		ExternalTraffic: harness.Local, InternalTraffic: harness.Local,
		SourceRanges: []netip.Prefix{netip.MustParsePrefix("172.31.0.0/16"), netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8:1::/35")},
		Backends:     []harness.Backend{Backend("node2", 2)},
	}}
}

// WithoutClusterAddress is a service that pods know by the world's address alone.
func WithoutClusterAddress() []harness.Service {
	return []harness.Service{{
		Name: "outside", Port: packet.TCPPort(80), NodePort: 32080,
		LoadBalancerIPs: []netip.Addr{netip.MustParseAddr("203.0.113.2"), netip.MustParseAddr("2001:db8::2")},
		Backends:        []harness.Backend{Backend("node1", 1), Backend("node2", 2)},
	}}
}
