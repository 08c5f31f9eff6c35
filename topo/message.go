package topo

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

const (
	create  = unix.NLM_F_CREATE | unix.NLM_F_EXCL    // an error where it is there already
	replace = unix.NLM_F_CREATE | unix.NLM_F_REPLACE // or change what is there

	skipStats = 1 << 3 // include/uapi/linux/rtnetlink.h, RTEXT_FILTER_SKIP_STATS
)

// linkUp takes a device up or down.
func linkUp(index int, name string, up bool) request {
	req := nl.NewNetlinkRequest(unix.RTM_SETLINK, 0)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index, msg.Change = int32(index), unix.IFF_UP
	what := "taking " + name + " down"
	if up {
		msg.Flags = unix.IFF_UP
		what = "taking " + name + " up"
	}
	req.AddData(msg)
	return request{what, req}
}

// getLink asks for the state of a device.
func getLink(d Device) request {
	req := nl.NewNetlinkRequest(unix.RTM_GETLINK, 0)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(d.Index)
	req.AddData(msg)
	req.AddData(nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(skipStats)))
	return request{"looking at " + d.String(), req}
}

// newAddress puts an address on a device. There is nobody to defend it against, so IPv6 has no duplicate address detection.
func newAddress(d Device, prefix netip.Prefix) request {
	what := fmt.Sprintf("giving %s the address %s", d, prefix)
	return request{what, addressRequest(unix.RTM_NEWADDR, replace, d, prefix)}
}

func deleteAddress(d Device, prefix netip.Prefix) request {
	what := fmt.Sprintf("taking the address %s from %s", prefix, d)
	return request{what, addressRequest(unix.RTM_DELADDR, 0, d, prefix)}
}

func addressRequest(kind, flags int, d Device, prefix netip.Prefix) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(kind, flags)
	msg := nl.NewIfAddrmsg(familyOf(prefix.Addr()).number())
	msg.Index, msg.Prefixlen = uint32(d.Index), uint8(prefix.Bits())
	if prefix.Addr().Is6() {
		msg.Flags = unix.IFA_F_NODAD
	}
	req.AddData(msg)
	req.AddData(nl.NewRtAttr(unix.IFA_LOCAL, prefix.Addr().AsSlice()))
	req.AddData(nl.NewRtAttr(unix.IFA_ADDRESS, prefix.Addr().AsSlice()))
	return req
}

// request adds the route, or replaces the one to its prefix.
func (r route) request() request {
	req := nl.NewNetlinkRequest(unix.RTM_NEWROUTE, replace)
	msg := nl.NewRtMsg()
	msg.Family, msg.Dst_len = uint8(familyOf(r.prefix.Addr()).number()), uint8(r.prefix.Bits())
	msg.Protocol = unix.RTPROT_STATIC
	if len(r.via) == 0 && r.prefix.Addr().Is4() {
		msg.Scope = unix.RT_SCOPE_LINK
	}
	req.AddData(msg)
	req.AddData(nl.NewRtAttr(unix.RTA_DST, r.prefix.Addr().AsSlice()))
	if len(r.via) > 1 {
		req.AddData(r.multipath())
	} else {
		req.AddData(nl.NewRtAttr(unix.RTA_OIF, nl.Uint32Attr(uint32(r.device.Index))))
	}
	if len(r.via) == 1 {
		req.AddData(nl.NewRtAttr(unix.RTA_GATEWAY, r.via[0].AsSlice()))
	}
	if r.source.IsValid() {
		req.AddData(nl.NewRtAttr(unix.RTA_PREFSRC, r.source.AsSlice()))
	}
	if r.mtu != 0 {
		metrics := nl.NewRtAttr(unix.RTA_METRICS, nil)
		metrics.AddRtAttr(unix.RTAX_MTU, nl.Uint32Attr(uint32(r.mtu)))
		metrics.AddRtAttr(unix.RTAX_LOCK, nl.Uint32Attr(1<<unix.RTAX_MTU)) // forwarding looks at no other
		req.AddData(metrics)
	}
	return request{fmt.Sprintf("giving %s a route to %s by way of %s", r.device.Machine, r.prefix, r.device.Name), req}
}

// multipath is the next hops of a route that has several, all of the same weight.
func (r route) multipath() *nl.RtAttr {
	var hops []byte
	for _, via := range r.via {
		gateway := nl.NewRtAttr(unix.RTA_GATEWAY, via.AsSlice())
		hop := nl.RtNexthop{RtNexthop: unix.RtNexthop{Ifindex: int32(r.device.Index)}, Children: []nl.NetlinkRequestData{gateway}}
		hops = append(hops, hop.Serialize()...)
	}
	return nl.NewRtAttr(unix.RTA_MULTIPATH, hops)
}

// newDeadEnd adds a route that leads nowhere.
func newDeadEnd(machine string, prefix netip.Prefix, kind RouteKind) (request, error) {
	number, ok := map[RouteKind]uint8{
		RouteBlackhole: unix.RTN_BLACKHOLE, RouteUnreachable: unix.RTN_UNREACHABLE, RouteProhibit: unix.RTN_PROHIBIT,
	}[kind]
	if !ok {
		return request{}, fmt.Errorf("the route to %s is of kind %q: take blackhole, unreachable, prohibit or none", prefix, kind)
	}
	req := nl.NewNetlinkRequest(unix.RTM_NEWROUTE, replace)
	msg := nl.NewRtMsg()
	msg.Family, msg.Dst_len = uint8(familyOf(prefix.Addr()).number()), uint8(prefix.Bits())
	msg.Protocol, msg.Type = unix.RTPROT_STATIC, number
	req.AddData(msg)
	req.AddData(nl.NewRtAttr(unix.RTA_DST, prefix.Addr().AsSlice()))
	return request{fmt.Sprintf("giving %s a route of kind %s to %s", machine, kind, prefix), req}, nil
}

// localRoutes asks for the IPv6 addresses that are ready to receive: an address gets its route in the local table when the
// kernel has taken up its multicast group.
func localRoutes(machine string) request {
	req := nl.NewNetlinkRequest(unix.RTM_GETROUTE, unix.NLM_F_DUMP)
	req.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{Family: unix.AF_INET6, Table: unix.RT_TABLE_LOCAL}})
	return request{"reading the local routes of " + machine, req}
}

// newNeighbour adds a permanent neighbour.
func newNeighbour(d Device, ip netip.Addr, mac net.HardwareAddr) request {
	req := nl.NewNetlinkRequest(unix.RTM_NEWNEIGH, replace)
	req.AddData(&netlink.Ndmsg{Family: uint8(familyOf(ip).number()), Index: uint32(d.Index), State: unix.NUD_PERMANENT})
	req.AddData(nl.NewRtAttr(unix.NDA_DST, ip.AsSlice()))
	req.AddData(nl.NewRtAttr(unix.NDA_LLADDR, mac))
	return request{fmt.Sprintf("giving %s the neighbour %s", d, ip), req}
}

// newForwarding tells the switch which port a MAC is at.
func newForwarding(port Device, mac net.HardwareAddr) request {
	req := nl.NewNetlinkRequest(unix.RTM_NEWNEIGH, create)
	req.AddData(&netlink.Ndmsg{Family: unix.AF_BRIDGE, Index: uint32(port.Index), State: unix.NUD_NOARP, Flags: unix.NTF_MASTER})
	req.AddData(nl.NewRtAttr(unix.NDA_LLADDR, mac))
	return request{fmt.Sprintf("telling the switch that %s is at %s", mac, port), req}
}

// newBridge makes the switch's bridge. It floods multicast, as a switch without snooping does.
func newBridge(d Device, mtu int) request {
	req := nl.NewNetlinkRequest(unix.RTM_NEWLINK, create)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index, msg.Flags, msg.Change = int32(d.Index), unix.IFF_UP, unix.IFF_UP
	req.AddData(msg)
	req.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(d.Name)))
	req.AddData(nl.NewRtAttr(unix.IFLA_ADDRESS, d.MAC))
	req.AddData(nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(mtu))))
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("bridge"))
	info.AddRtAttr(nl.IFLA_INFO_DATA, nil).AddRtAttr(nl.IFLA_BR_MCAST_SNOOPING, nl.Uint8Attr(0))
	req.AddData(info)
	return request{"making the bridge of the switch", req}
}
