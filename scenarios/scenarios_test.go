// Package scenarios holds what a datapath must do, one behaviour a file, each
// proven on a live lab.
//
// Comments call behaviours by these names:
//
//	C1   pods of one node reach each other past the receiver's device
//	C2   pods of two nodes reach each other by the nodes' own routes
//	C3   no netfilter chain of a node sees what goes past its stack
//	C4   kernels without a helper are served by another
//	C6   pods reach their node and the world, which knows them by the node's address
//	C7   the pods' gateway answers ARP and neighbour discovery
//	C8   hops that run out, packets over the MTU, fragments
//	C9   a pod reaches itself by its own service
//	C10  what goes from node to node is encrypted
//	S1   a socket that names a service talks to a backend from its first packet on
//	S2   cluster addresses, node ports, external and balancers' addresses, host ports
//	S3   a node port in XDP whose backend is on another node
//	S4   a node port whose backend is on the same node
//	S5   a node port in TC
//	S6   direct server return
//	S7   Maglev: one choice on every node, which hardly moves when a backend goes
//	S8   a client keeps its backend for a time
//	S9   policies that want a local backend, and ranges of sources
//	S10  services without a backend refuse at once
//	S11  backends that terminate, go and come back
//	S12  ICMP errors about translated packets
//	S13  source ports collide and run out
//	S14  the life of a connection; full tables
//	K1   TCP between two pods of a node goes from socket to socket
//	K2   other TCP does not
//	B1   flows keep their server when one of several balancers dies
//	O1   every drop has a reason, every hop is told
package scenarios

import (
	"io"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/ebpf"
	"github.com/skbench/skbench/harness/datapath/iptables"
	"github.com/skbench/skbench/harness/datapath/ipvs"
	"github.com/skbench/skbench/harness/datapath/nftables"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// patience is how long a socket waits for what comes within milliseconds on a machine that runs as it should.
var patience = topo.Patience(10 * time.Second)

// everyDatapath must hold what is not eBPF's alone.
var everyDatapath = append(harness.Datapaths{ebpf.Datapath()}, kernelDatapaths...)

// onlyEBPF must hold what other datapaths do differently.
var onlyEBPF = harness.Datapaths{ebpf.Datapath()}

// kernelDatapaths leave forwarding to the kernel, and services to its netfilter.
var kernelDatapaths = harness.Datapaths{iptables.Datapath(), nftables.Datapath(), ipvs.Datapath()}

// protocol is a kind of exchange: how it is asked and how it is answered.
type protocol struct {
	name        string
	requestFrom func(port uint16, to netip.AddrPort) packet.Template // port 0: any; an echo's ID
	reply       func(to *packet.Packet) packet.Template
}

// request is both what is sent to an address and what is expected there.
func (p protocol) request(to netip.AddrPort) packet.Template { return p.requestFrom(0, to) }

var (
	tcp = protocol{
		name: "TCP",
		requestFrom: func(port uint16, to netip.AddrPort) packet.Template {
			return packet.TCP{Src: anyAddr(port), Dst: to, Flags: packet.SYN}
		},
		reply: func(to *packet.Packet) packet.Template { return to.Reply(packet.SYN | packet.ACK) },
	}
	udp = protocol{
		name: "UDP",
		requestFrom: func(port uint16, to netip.AddrPort) packet.Template {
			return packet.UDP{Src: anyAddr(port), Dst: to, Payload: []byte("question")}
		},
		reply: func(to *packet.Packet) packet.Template { return to.ReplyWith([]byte("answer")) },
	}
	echo = protocol{
		name: "echo",
		requestFrom: func(port uint16, to netip.AddrPort) packet.Template {
			return packet.Echo{ID: port, Dst: to.Addr(), Payload: []byte("anyone there?")}
		},
		reply: func(to *packet.Packet) packet.Template { return to.ReplyWith(nil) },
	}
)

// anyAddr leaves the address open and names the port.
func anyAddr(port uint16) netip.AddrPort { return netip.AddrPortFrom(netip.Addr{}, port) }

// each runs a scenario for each of the protocols.
func each(t *testing.T, protocols []protocol, scenario func(*testing.T, protocol)) {
	t.Helper()
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) { scenario(t, p) })
	}
}

// requireHops fails unless the packet's TTL, or hop limit, says that it was
// forwarded so many times since it was sent with the default of 64.
func requireHops(t testing.TB, p *packet.Packet, times int) {
	t.Helper()
	var left uint8
	if ip, ok := p.IPv4(); ok {
		left = ip.TTL
	} else if ip, ok := p.IPv6(); ok {
		left = ip.HopLimit
	}
	require.Equal(t, 64-times, int(left), "TTL of %s: it should fall by one at each hop", p)
}

// says answers every HTTP request with the words.
func says(words string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, words) })
}
