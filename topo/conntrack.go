package topo

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A Flow is an entry of a machine's connection tracking: the addresses that its first packet was sent with, and those that
// a reply is expected with. They mirror each other where nothing was translated.
type Flow struct {
	Protocol           uint8 // of the IP header: 6 is TCP, 17 is UDP
	Src, Dst           netip.AddrPort
	ReplySrc, ReplyDst netip.AddrPort
}

// DeleteFlows has the machine's netfilter forget the tracked flows of a family that are stale: their next packet is taken
// for a first one. Flows that begin meanwhile may or may not be asked about.
func (m *Machine) DeleteFlows(family Family, stale func(Flow) bool) error {
	of := netlink.InetFamily(unix.AF_INET)
	if family == IPv6 {
		of = unix.AF_INET6
	}
	err := m.Do(func() error {
		_, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, of, staleFlows(stale))
		return err
	})
	if err != nil {
		return fmt.Errorf("topo: deleting tracked flows of %s: %w", m.name, err)
	}
	return nil
}

// ForgetFlows has the machine's netfilter forget all that it tracks, in both families.
func (m *Machine) ForgetFlows() error {
	err := m.Do(func() error { return netlink.ConntrackTableFlush(netlink.ConntrackTable) })
	if err != nil {
		return fmt.Errorf("topo: forgetting the tracked flows of %s: %w", m.name, err)
	}
	return nil
}

// staleFlows is a filter of the netlink library.
type staleFlows func(Flow) bool

func (stale staleFlows) MatchConntrackFlow(f *netlink.ConntrackFlow) bool {
	return stale(Flow{
		Protocol: f.Forward.Protocol,
		Src:      tracked(f.Forward.SrcIP, f.Forward.SrcPort), Dst: tracked(f.Forward.DstIP, f.Forward.DstPort),
		ReplySrc: tracked(f.Reverse.SrcIP, f.Reverse.SrcPort), ReplyDst: tracked(f.Reverse.DstIP, f.Reverse.DstPort),
	})
}

func tracked(ip net.IP, port uint16) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(addr.Unmap(), port)
}
