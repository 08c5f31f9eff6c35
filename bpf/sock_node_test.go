package bpf_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness/feature"
	"github.com/skbench/skbench/harness/socket"
)

// TestSocketsNameTheNode has services of the node named by addresses that are not their frontends': a node port by any node's, and
// whatever is at the node's own address by the pods' gateway, and by the node's loopback on the node itself.
func TestSocketsNameTheNode(t *testing.T) {
	t.Parallel()
	feature.Need(t, feature.NetNSCookie)
	r := newSocketRig(t, 64)
	const nodePort, hostPort, none = 30080, 8080, 30081
	for _, f := range families {
		for port, isNodePort := range map[uint16]bool{nodePort: true, hostPort: false} {
			require.NoError(t, r.PutService(bpf.Service{
				Frontend: bpf.Frontend{Addr: node1.at(f, port), Protocol: bpf.UDP}, Backends: at(client.at(f, 53)), NodePort: isNodePort,
			}))
		}
		require.NoError(t, r.PutPrefix(netip.PrefixFrom(node2.addr(f), node2.addr(f).BitLen()), bpf.EntityNode))
	}
	type by struct {
		who      string
		from     *socket.Process
		ipv4     string
		ipv6     string
		port     uint16
		balanced bool
	}
	for _, c := range []by{
		{"the node by its address", r.node, "172.16.0.1", "fd00:172:16::1", nodePort, true},
		{"a pod by the node's address", r.pod, "172.16.0.1", "fd00:172:16::1", hostPort, true},
		{"a pod by another node's, a node port", r.pod, "172.16.0.2", "fd00:172:16::2", nodePort, true},
		{"a pod by another node's, a host port", r.pod, "172.16.0.2", "fd00:172:16::2", hostPort, false},
		{"a pod by another machine's, a node port", r.pod, "172.16.0.3", "fd00:172:16::3", nodePort, false},
		{"a pod by its gateway, a node port", r.pod, "10.0.1.254", "fd00:10:0:1::254", nodePort, true},
		{"a pod by its gateway, a host port", r.pod, "10.0.1.254", "fd00:10:0:1::254", hostPort, true},
		{"a pod by its gateway, a port of no service", r.pod, "10.0.1.254", "fd00:10:0:1::254", none, false},
		{"a pod by what its gateway is beside", r.pod, "10.0.1.253", "fd00:10:0:1::253", hostPort, false},
		{"the node by its loopback, a node port", r.node, "127.0.0.1", "::1", nodePort, true},
		{"the node by its loopback, a host port", r.node, "127.0.0.1", "::1", hostPort, true},
		{"the node by its loopback's end", r.node, "127.255.255.254", "::1", hostPort, true},
		{"the node by what is beside its loopback", r.node, "128.0.0.1", "::2", hostPort, false},
		{"the node by nothing", r.node, "0.0.0.0", "::", hostPort, true},
		{"a pod by its loopback", r.pod, "127.0.0.1", "::1", nodePort, false},
		{"a pod by nothing", r.pod, "0.0.0.0", "::", nodePort, false},
	} {
		t.Run(c.who, func(t *testing.T) {
			for f, addr := range map[family]string{v4: c.ipv4, v6: c.ipv6} {
				before := r.counted(t, bpf.AtConnect, bpf.Balance, bpf.NoDrop)
				s := open(t, c.from, domains[f], unix.SOCK_DGRAM, 0)
				err := s.connect(sockaddr(netip.AddrPortFrom(netip.MustParseAddr(addr), c.port), f))
				require.True(t, err == nil || !c.balanced && err == unix.ENETUNREACH, "%s: %v", addr, err)
				require.Equal(t, c.balanced, r.counted(t, bpf.AtConnect, bpf.Balance, bpf.NoDrop) > before, "balanced, by %s", addr)
			}
		})
	}
}

// TestSocketsLeaveSourceRangesToPackets: whether a client may use a service is for those programs that see the address it sends from.
func TestSocketsLeaveSourceRangesToPackets(t *testing.T) {
	t.Parallel()
	r := newSocketRig(t, 64)
	for _, f := range families {
		require.NoError(t, r.PutService(bpf.Service{
			Frontend: bpf.Frontend{Addr: vip(f, 1), Protocol: bpf.UDP}, Backends: at(client.at(f, 53)),
			Sources: []netip.Prefix{netip.PrefixFrom(podA.addr(f), podA.addr(f).BitLen())},
		}))
		s := open(t, r.pod, domains[f], unix.SOCK_DGRAM, 0)
		require.NoError(t, s.connect(sockaddr(vip(f, 1), f)))
		require.Equal(t, vip(f, 1), s.peer())
	}
	require.Zero(t, r.counted(t, bpf.AtConnect, bpf.Balance, bpf.NoDrop))
}

// TestSocketsWithoutLocalBackend are refused at once, and counted as what they are: the service has backends, but none that they may use.
func TestSocketsWithoutLocalBackend(t *testing.T) {
	t.Parallel()
	r := newSocketRig(t, 64)
	for i, f := range families {
		require.NoError(t, r.PutService(bpf.Service{
			Frontend: bpf.Frontend{Addr: vip(f, 1), Protocol: bpf.TCP}, Backends: at(client.at(f, 53)), InternalLocal: true,
		}))
		s := open(t, r.pod, domains[f], unix.SOCK_STREAM, 0)
		require.Error(t, s.connect(sockaddr(vip(f, 1), f)))
		require.EqualValues(t, i+1, r.counted(t, bpf.AtConnect, bpf.Drop, bpf.NoLocalBackend))
		require.Zero(t, r.counted(t, bpf.AtConnect, bpf.Drop, bpf.NoBackend))
	}
}
