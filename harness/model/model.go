// Package model says in plain Go what a correct datapath may do with a packet. It
// is what generated tests hold programs against: a [Node] is told of every packet
// that went into the program and of what came out, and answers whether that was
// right. Where a datapath may choose, a backend or a source port, the model takes
// the choice, if it is an allowed one, and expects the datapath to stand by it.
//
// It knows addresses, ports and flows. Headers, checksums, TTL and MACs are the
// same for every packet of a kind, and are checked by who decodes it.
package model

import (
	"fmt"
	"net/netip"
	"slices"
)

// Flow is one direction of a flow, as a packet carries it.
type Flow struct {
	Src, Dst netip.AddrPort
	Protocol uint8 // as in the IP header
}

// Reverse is the flow of the answers.
func (f Flow) Reverse() Flow { return Flow{Src: f.Dst, Dst: f.Src, Protocol: f.Protocol} }

func (f Flow) String() string { return fmt.Sprintf("%s > %s protocol %d", f.Src, f.Dst, f.Protocol) }

// Fate is what a program did with a packet.
type Fate uint8

const (
	Untouched Fate = iota // to the node's stack as it came
	Local                 // rewritten, for a pod of the node
	Remote                // rewritten, and sent to another machine
	Dropped
)

func (f Fate) String() string { return [...]string{"untouched", "local", "remote", "dropped"}[f] }

// Frontend is what clients of a service address.
type Frontend struct {
	Addr     netip.AddrPort
	Protocol uint8
}

// Node is one node's balancing of packets from outside.
type Node struct {
	Addrs            []netip.Addr // its own
	Pods             []netip.Addr // that run on it
	MinPort, MaxPort uint16       // reserved for source translation

	services map[Frontend][]netip.AddrPort
	flows    map[Flow]Flow // both directions: as packets arrive → as they leave
	opened   []Flow        // by clients
}

// Serve gives a frontend its backends: new flows find one of them, the others keep what they have, except those of UDP whose
// backend is gone.
func (n *Node) Serve(f Frontend, backends ...netip.AddrPort) {
	if n.services == nil {
		n.services = map[Frontend][]netip.AddrPort{}
	}
	n.services[f] = slices.Clone(backends)
	n.forgetStale(f)
}

// Withdraw forgets a frontend, and its flows of UDP.
func (n *Node) Withdraw(f Frontend) {
	delete(n.services, f)
	n.forgetStale(f)
}

// forgetStale forgets flows of UDP to backends that a frontend has not.
func (n *Node) forgetStale(f Frontend) {
	const udp = 17
	for _, flow := range n.Flows() {
		if f.Protocol == udp && flow.Dst == f.Addr && flow.Protocol == f.Protocol && !slices.Contains(n.services[f], n.flows[flow].Dst) {
			n.Forget(flow)
		}
	}
}

// Forget takes back a flow that the datapath has let go of, by either of its directions.
func (n *Node) Forget(f Flow) {
	to, known := n.flows[f]
	if !known {
		return
	}
	delete(n.flows, f)
	delete(n.flows, to.Reverse())
	n.opened = slices.DeleteFunc(n.opened, func(opened Flow) bool { return opened == f || opened == to.Reverse() })
}

// Flows are the flows that clients opened, as their packets arrive, in the order of their first.
func (n *Node) Flows() []Flow { return slices.Clone(n.opened) }

// Answer is the packet that a backend answers a flow's packets with; false when there is no such flow.
func (n *Node) Answer(f Flow) (Flow, bool) {
	to, known := n.flows[f]
	return to.Reverse(), known
}

// Right is what is to become of a packet: its fate, and how it leaves, for who writes it down beforehand. The port that the datapath
// may choose is 0; false where it may choose between backends.
func (n *Node) Right(in Flow) (fate Fate, out Flow, certain bool) {
	if to, known := n.flows[in]; known {
		return n.fateTo(to.Dst.Addr()), to, true
	}
	backends, served := n.services[Frontend{in.Dst, in.Protocol}]
	switch {
	case !served:
		return Untouched, in, true
	case len(backends) == 0:
		return Dropped, Flow{}, true
	case len(backends) > 1:
		return 0, Flow{}, false
	}
	out = Flow{Src: in.Src, Dst: backends[0], Protocol: in.Protocol}
	fate = n.fateTo(out.Dst.Addr())
	switch {
	case fate == Remote:
		at := slices.IndexFunc(n.Addrs, func(own netip.Addr) bool { return own.BitLen() == in.Dst.Addr().BitLen() })
		out.Src = netip.AddrPortFrom(n.Addrs[at], 0)
	case n.taken(out):
		out.Src = netip.AddrPortFrom(in.Src.Addr(), 0)
	}
	return fate, out, true
}

// fateTo is that of a packet that leaves for an address.
func (n *Node) fateTo(addr netip.Addr) Fate {
	if slices.Contains(n.Pods, addr) {
		return Local
	}
	return Remote
}

// Saw tells of a packet from outside, and of what became of it: out is the packet
// as it left, and of no meaning when it was dropped. The error says what was wrong.
func (n *Node) Saw(in Flow, fate Fate, out Flow) error {
	if to, known := n.flows[in]; known {
		return n.follows(in, to, fate, out)
	}
	backends, served := n.services[Frontend{in.Dst, in.Protocol}]
	switch {
	case !served && fate != Untouched:
		return fmt.Errorf("%s: %s, as %s; it belongs to no service and no flow, and must be untouched", in, fate, out)
	case !served:
		return nil
	case len(backends) == 0 && fate != Dropped:
		return fmt.Errorf("%s: %s, as %s; its service has no backend, and it must be dropped", in, fate, out)
	case len(backends) == 0:
		return nil
	}
	if err := n.mayOpen(in, backends, fate, out); err != nil {
		return fmt.Errorf("%s: %s, as %s: %w", in, fate, out, err)
	}
	if n.flows == nil {
		n.flows = map[Flow]Flow{}
	}
	n.flows[in], n.flows[out.Reverse()] = out, in.Reverse()
	n.opened = append(n.opened, in)
	return nil
}

// follows checks a packet of a known flow.
func (n *Node) follows(in, to Flow, fate Fate, out Flow) error {
	want := n.fateTo(to.Dst.Addr())
	if fate != want || out != to {
		return fmt.Errorf("%s: %s, as %s; its flow is %s, as %s", in, fate, out, want, to)
	}
	return nil
}

// mayOpen says why a datapath may not open a flow like that.
func (n *Node) mayOpen(in Flow, backends []netip.AddrPort, fate Fate, out Flow) error {
	if !slices.Contains(backends, out.Dst) || out.Protocol != in.Protocol {
		return fmt.Errorf("the backends are %v", backends)
	}
	if n.taken(out) {
		return fmt.Errorf("answers to it are those of %s already", n.flows[out.Reverse()].Reverse())
	}
	if slices.Contains(n.Pods, out.Dst.Addr()) {
		switch {
		case fate != Local:
			return fmt.Errorf("the backend is a pod of this node")
		case out.Src.Addr() != in.Src.Addr():
			return fmt.Errorf("a local backend must see the client's address")
		case out.Src != in.Src && !n.taken(Flow{in.Src, out.Dst, in.Protocol}):
			return fmt.Errorf("the client's port is free, and must be kept")
		}
		return nil
	}
	switch {
	case fate != Remote:
		return fmt.Errorf("the backend is on another node")
	case !slices.Contains(n.Addrs, out.Src.Addr()):
		return fmt.Errorf("the source must be an address of the node, so that answers come by here")
	case out.Src.Port() < n.MinPort || out.Src.Port() > n.MaxPort:
		return fmt.Errorf("the source port is not one of %d to %d", n.MinPort, n.MaxPort)
	}
	return nil
}

// taken: another flow's packets leave like that, and its answers are known by it.
func (n *Node) taken(out Flow) bool {
	_, taken := n.flows[out.Reverse()]
	return taken
}
