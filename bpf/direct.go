package bpf

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"
)

// Direct is a backend of this node that other nodes balance to by direct server return: packets come from a node's address,
// encapsulated to the backend's address, addressed to the frontend.
type Direct struct {
	// Frontend has the unspecified address of the family for a node port, which leads to the same backends at every node.
	Frontend
	Backend netip.AddrPort // a pod of this node, or the node itself
}

// PutDirect makes a backend known, or changes its port.
func (n *Node) PutDirect(d Direct) error {
	if err := d.check(n); err != nil {
		return err
	}
	return n.putDirect(d.String(), d.raw(), d.Backend.Port())
}

// DeleteDirect forgets a backend. One that is not known is no error. Running flows go on.
func (n *Node) DeleteDirect(d Direct) error { return n.deleteDirect(d.String(), d.raw()) }

// PutOwn makes the node's own stack take all that other nodes send to addr, encapsulated to the node's address of either
// family: addr is one of the node's, too (on lo), though its link does not know.
func (n *Node) PutOwn(addr netip.Addr) error {
	if !addr.IsValid() {
		return errors.New("bpf: the stack's own address is none: give one")
	}
	if !n.config.DSR {
		return fmt.Errorf("bpf: packets for %s come by direct server return: load the node with Config.DSR", addr)
	}
	for _, raw := range n.ownDirects(addr) {
		if err := n.putDirect(addr.String(), raw, 0); err != nil {
			return err
		}
	}
	return nil
}

// DeleteOwn takes back what PutOwn did.
func (n *Node) DeleteOwn(addr netip.Addr) error {
	for _, raw := range n.ownDirects(addr) {
		if err := n.deleteDirect(addr.String(), raw); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) putDirect(what string, key hostDirect, port uint16) error {
	if err := n.Maps.Direct.Put(key, rawPort(port)); err != nil {
		return fmt.Errorf("bpf: direct %s: %w", what, err)
	}
	return nil
}

func (n *Node) deleteDirect(what string, key hostDirect) error {
	if err := n.Maps.Direct.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("bpf: direct %s: %w", what, err)
	}
	return nil
}

// ownDirects are the keys of an address of the stack's own, one for each family that it may come by.
func (n *Node) ownDirects(addr netip.Addr) (keys []hostDirect) {
	for _, own := range []netip.Addr{n.config.IPv4, n.config.IPv6} {
		if own.IsValid() {
			keys = append(keys, hostDirect{Frontend: rawAddr(addr), Backend: rawAddr(own)})
		}
	}
	return keys
}

func (d Direct) String() string { return fmt.Sprintf("%s at %s", d.Frontend, d.Backend) }

func (d Direct) check(n *Node) error {
	switch {
	case !n.config.DSR:
		return fmt.Errorf("bpf: direct %s: load the node with Config.DSR", d)
	case !d.Addr.IsValid() || d.Addr.Port() == 0 || !d.Backend.IsValid() || d.Backend.Port() == 0:
		return fmt.Errorf("bpf: direct %s lacks an address or port: give frontend and backend both", d)
	case d.Protocol != TCP && d.Protocol != UDP:
		return fmt.Errorf("bpf: direct %s: protocol %s is not balanced: give TCP or UDP", d, d.Protocol)
	case d.Addr.Addr().Is4() != d.Backend.Addr().Is4():
		return fmt.Errorf("bpf: direct %s: the backend is of the other family: give each family a backend of its own", d)
	}
	return nil
}

func (d Direct) raw() hostDirect {
	raw := hostDirect{Backend: rawAddr(d.Backend.Addr()), Port: rawPort(d.Addr.Port()), Proto: uint8(d.Protocol)}
	if !d.Addr.Addr().IsUnspecified() {
		raw.Frontend = rawAddr(d.Addr.Addr())
	}
	return raw
}
