package topo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
)

// An Island is one machine whose devices lead nowhere: what a program needs around it that is run without traffic, so that
// its helpers find devices, routes and neighbours.
type Island struct {
	// Devices have the indexes 1000, 1001, … in their order. All are up, with a carrier.
	Devices    []IslandDevice
	Routes     []IslandRoute
	Neighbours []IslandNeighbour
	Sysctls    map[string]string // named as sysctl(8) does; forwarding is on
	MTU        int               // 0: 1500
	// Traffic lets frames be sent to the devices from the machine ShoreName, whose devices have the same names and receive what those send:
	// what XDP programs send, too. See Network.Drain.
	Traffic bool
}

// An IslandDevice is one end of a veth pair. The other end, in a namespace of its own, only keeps the carrier.
type IslandDevice struct {
	Name      string
	MAC       net.HardwareAddr // nil: 02:06 and then the device's index
	Addresses []netip.Prefix   // with the length of the prefix that is on-link
}

// An IslandRoute leads out of a device, by way of next hops or on-link, or nowhere.
type IslandRoute struct {
	Prefix netip.Prefix
	Device string       // may be empty where a next hop is on the link of one, or Kind tells
	Via    []netip.Addr // several: each for a part of the flows
	Kind   RouteKind
}

// RouteKind tells what becomes of packets that a route is for.
type RouteKind string

// The kinds of routes.
const (
	RouteUnicast     RouteKind = ""
	RouteBlackhole   RouteKind = "blackhole"   // dropped without a word
	RouteUnreachable RouteKind = "unreachable" // dropped, and their sender is told
	RouteProhibit    RouteKind = "prohibit"    // dropped, and their sender is told that it must not
)

// An IslandNeighbour is a machine that the island believes is on the link of a device.
type IslandNeighbour struct {
	Device string
	IP     netip.Addr
	MAC    net.HardwareAddr
}

// Names of the machines of an island's network.
const (
	IslandName = "island"
	ShoreName  = "shore" // holds the other ends
)

// UpIsland makes an island real: a network of which the machine IslandName is what was described.
func UpIsland(ctx context.Context, i Island) (*Network, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("topo: making a network namespace needs root: run with sudo")
	}
	n, err := i.network()
	if err != nil {
		return nil, fmt.Errorf("topo: %w", err)
	}
	if err = n.up(ctx); err == nil {
		err = i.finish(n.byName[IslandName])
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("topo: %w", err), n.Close())
	}
	return n, nil
}

// network works out the devices with their addresses.
func (i Island) network() (*Network, error) {
	n := newNetwork(Topology{MTU: i.MTU})
	n.addMachine(KindNode, IslandName, netip.Addr{}, netip.Addr{}, nil)
	n.addMachine(KindHost, ShoreName, netip.Addr{}, netip.Addr{}, nil)
	island, shore := n.byName[IslandName], n.byName[ShoreName]
	c := newClaims()
	for index, d := range i.Devices {
		who := "device " + d.Name
		if !validDevice(d.Name) || c.devices[d.Name] != "" {
			return nil, fmt.Errorf("%q cannot name a device: take one that is free, of at most %d bytes", d.Name, maxDeviceName)
		}
		c.devices[d.Name] = who
		if d.MAC == nil {
			d.MAC = mac(macIsland, 0, firstIndex+index)
		}
		if err := validMAC(who, d.MAC); err != nil {
			return nil, err
		}
		e := n.addEnd(island, d.Name, d.MAC)
		for _, prefix := range d.Addresses {
			if !prefix.IsValid() || prefix.Addr().IsMulticast() || prefix.Addr().Zone() != "" {
				return nil, fmt.Errorf("%s has the address %q: give it one with its prefix's length, such as 10.0.0.1/24", who, prefix)
			}
			island.addresses = append(island.addresses, address{e.Device, prefix})
		}
	}
	for index, e := range island.ends {
		other := n.addEnd(shore, e.Name, mac(macIsland, 1, firstIndex+index))
		if i.Traffic {
			other.reception = receiveByPass
		}
		n.pair(e, other)
	}
	if i.Traffic {
		number := firstIndex + len(island.ends)
		n.pair(n.addEnd(shore, drainName, mac(macIsland, 1, number)), n.addEnd(shore, drainName+"-end", mac(macIsland, 1, number+1)))
	}
	return n, nil
}

// finish puts in what the kernel takes once the devices are up.
func (i Island) finish(island *Machine) error {
	var requests []request
	for _, r := range i.Routes {
		req, err := island.islandRoute(r)
		if err != nil {
			return err
		}
		requests = append(requests, req)
	}
	for _, neighbour := range i.Neighbours {
		d, err := island.Device(neighbour.Device)
		if err != nil {
			return err
		}
		if err := validMAC("neighbour "+neighbour.IP.String(), neighbour.MAC); err != nil {
			return err
		}
		requests = append(requests, newNeighbour(d, neighbour.IP, neighbour.MAC))
	}
	if err := island.rtnl.do(requests...); err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(i.Sysctls)) {
		if err := island.Sysctl(key, i.Sysctls[key]); err != nil {
			return err
		}
	}
	return nil
}

// islandRoute is the request for a route of the island.
func (m *Machine) islandRoute(r IslandRoute) (request, error) {
	if r.Kind != RouteUnicast {
		return newDeadEnd(m.name, r.Prefix.Masked(), r.Kind)
	}
	d, err := m.wayOut(r)
	return route{device: d, prefix: r.Prefix.Masked(), via: r.Via}.request(), err
}

// wayOut is the device of a route: that which it names, or on whose link its next hop is.
func (m *Machine) wayOut(r IslandRoute) (Device, error) {
	if r.Device != "" {
		return m.Device(r.Device)
	}
	for _, a := range m.addresses {
		if len(r.Via) > 0 && a.prefix.Contains(r.Via[0]) {
			return a.device, nil
		}
	}
	return Device{}, fmt.Errorf("the route to %s leads nowhere: give it a device, a next hop on a link, or a kind", r.Prefix)
}
