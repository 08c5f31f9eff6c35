package bpf

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/cilium/ebpf"
)

// SocketPeer is a backend that a socket talks to, and what its application believes to talk to.
type SocketPeer struct {
	Cookie   uint64 // of the socket, unique on the machine (SO_COOKIE)
	Protocol Protocol
	Named    netip.AddrPort // by the application: an address of the service
	Backend  netip.AddrPort
}

func (p SocketPeer) String() string {
	return fmt.Sprintf("socket %d %s %s at %s", p.Cookie, p.Protocol, p.Named, p.Backend)
}

// SocketPeers reads what sockets of the node and its pods know, in no order; also of sockets that are closed by now.
func (n *Node) SocketPeers() ([]SocketPeer, error) {
	var peers []SocketPeer
	err := eachSocket(n.Maps.SockNamed, func(key, value sockSockPeer) error {
		peers = append(peers, SocketPeer{
			Cookie: key.Cookie, Protocol: Protocol(key.Peer.Proto), Named: value.peer().Addr, Backend: key.peer().Addr,
		})
		return nil
	})
	return peers, err
}

// StrandedSockets are those UDP peers that a service no longer has for a backend. A socket that is connected to one would stay
// there for ever, and no program sees what it sends: it must be aborted. The others choose again when they send again.
func (n *Node) StrandedSockets() ([]SocketPeer, error) {
	peers, err := n.SocketPeers()
	if err != nil {
		return nil, err
	}
	n.services.mu.Lock()
	defer n.services.mu.Unlock()
	return slices.DeleteFunc(peers, func(p SocketPeer) bool { return p.Protocol != UDP || n.serves(p) }), nil
}

// serves tells whether the service that a peer was chosen for still has it.
func (n *Node) serves(p SocketPeer) bool {
	service := n.services.served[Frontend{p.Named, p.Protocol}]
	if service == nil { // named by an address that stands for the node's own
		own := n.config.IPv4
		if p.Named.Addr().Is6() {
			own = n.config.IPv6
		}
		service = n.services.served[Frontend{netip.AddrPortFrom(own, p.Named.Port()), p.Protocol}]
	}
	return service != nil && slices.ContainsFunc(service.Backends, func(b Backend) bool { return b.Addr == p.Backend })
}

// forgetSockets has those UDP sockets that send without being connected choose again, where the backend that they keep is stale.
func (n *Node) forgetSockets(s stale) error {
	return eachSocket(n.Maps.SockKept, func(key, value sockSockPeer) error {
		if !s[key.peer()][value.peer().Addr] {
			return nil
		}
		if err := n.Maps.SockKept.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
		return nil
	})
}

// eachSocket visits one of the tables of sockets, which a node without programs at sockets has not.
func eachSocket(table *ebpf.Map, visit func(key, value sockSockPeer) error) error {
	if table == nil {
		return nil
	}
	if err := eachEntry(table, visit); err != nil {
		return fmt.Errorf("bpf: sockets: %w", err)
	}
	return nil
}

func (p sockSockPeer) peer() Frontend {
	addr := netip.AddrFrom16(p.Peer.Addr.Bytes).Unmap()
	return Frontend{Addr: netip.AddrPortFrom(addr, rawPort(p.Peer.Port)), Protocol: Protocol(p.Peer.Proto)}
}
