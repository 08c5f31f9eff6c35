package bpf

import (
	"errors"
	"net/netip"

	"github.com/cilium/ebpf"
)

// stale are backends that a frontend of UDP no longer has. Nothing in UDP tells a client that its peer is gone: while it goes
// on sending, conntrack would keep it there for ever. So such flows are removed, and choose again. (Flows of TCP end, and those
// that do not may well be alive: the backend is no longer in the service, not necessarily dead.)
type stale map[Frontend]map[netip.AddrPort]bool

// left notes the backends of old that now, nil when the service is gone, has not.
func (s stale) left(old, now *version) {
	if old == nil || old.Protocol != UDP {
		return
	}
	gone := map[netip.AddrPort]bool{}
	for _, b := range old.Backends {
		gone[b.Addr] = true
	}
	if now != nil {
		for _, b := range now.Backends {
			delete(gone, b.Addr)
		}
	}
	if len(gone) > 0 {
		s[old.Frontend] = gone
	}
}

// forget removes the flows that stale tells of, both directions, once no program can open one of them any more.
func (n *Node) forget(s stale) error {
	if len(s) == 0 {
		return nil
	}
	if err := n.services.wait(); err != nil {
		return err
	}
	if err := n.forgetSockets(s); err != nil {
		return err
	}
	return n.eachFlow(func(key hostTuple, entry hostCtEntry) error {
		f := entry.flow(key)
		service, backend := f.Dst, f.To.Dst
		if f.Reply {
			service, backend = f.To.Src, f.Src
		}
		if !s[Frontend{service, f.Protocol}][backend] {
			return nil
		}
		if err := n.Maps.CT.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
		return nil
	})
}
