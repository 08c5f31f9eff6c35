package vector

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/skbench/skbench/topo"
)

// A Network is what programs find around them: devices, routes and neighbours of a network namespace, for FIB lookups and
// redirects. Nothing is sent: the other ends of the devices are nowhere.
type Network struct {
	Devices    []Device          `yaml:"devices"` // their indexes are 1000, 1001, … in their order
	Routes     []Route           `yaml:"routes"`
	Neighbours []Neighbour       `yaml:"neighbours"`
	Sysctls    map[string]string `yaml:"sysctls"` // named as sysctl(8) does; forwarding is on
	MTU        int               `yaml:"mtu"`     // default: 1500

	located
}

// A Device is up and has a carrier.
type Device struct {
	Name      string           `yaml:"name"`
	MAC       net.HardwareAddr `yaml:"mac"`
	Addresses []netip.Prefix   `yaml:"addresses"` // with the length of the prefix that is on-link: 172.16.0.1/12
}

// A Route leads to a prefix: by way of next hops, on-link by a device, or nowhere, by its kind.
type Route struct {
	To     netip.Prefix `yaml:"to"`
	Via    []netip.Addr `yaml:"via"`
	Device string       `yaml:"device"`
	Kind   string       `yaml:"kind"` // blackhole, unreachable or prohibit
}

// A Neighbour is a machine on the link of a device.
type Neighbour struct {
	Device  string           `yaml:"device"`
	Address netip.Addr       `yaml:"address"`
	MAC     net.HardwareAddr `yaml:"mac"`
}

// An Environment is a network that is up.
type Environment struct {
	network *topo.Network
	island  *topo.Machine
}

// Up makes the network real. Close takes it down.
func (n *Network) Up(ctx context.Context) (*Environment, error) { return n.up(ctx, false) }

// up can make the other ends of the devices send and receive.
func (n *Network) up(ctx context.Context, traffic bool) (*Environment, error) {
	island := topo.Island{MTU: n.MTU, Sysctls: n.Sysctls, Traffic: traffic}
	for _, d := range n.Devices {
		island.Devices = append(island.Devices, topo.IslandDevice{Name: d.Name, MAC: d.MAC, Addresses: d.Addresses})
	}
	for _, r := range n.Routes {
		island.Routes = append(island.Routes, topo.IslandRoute{Prefix: r.To, Device: r.Device, Via: r.Via, Kind: topo.RouteKind(r.Kind)})
	}
	for _, x := range n.Neighbours {
		island.Neighbours = append(island.Neighbours, topo.IslandNeighbour{Device: x.Device, IP: x.Address, MAC: x.MAC})
	}
	network, err := topo.UpIsland(ctx, island)
	if err != nil {
		return nil, n.at("").errorf("the network cannot be: %w", err)
	}
	machine, _ := network.Machine(topo.IslandName)
	return &Environment{network, machine}, nil
}

// Do runs f inside the network's namespace, on a thread that belongs to f alone and is thrown away afterwards. f must not end
// the goroutine (t.FailNow): it returns an error instead.
func (e *Environment) Do(f func() error) error { return e.island.Do(f) }

// Close takes the network down.
func (e *Environment) Close() error { return e.network.Close() }

// Index is the index of a device, given by its name or as a number.
func (e *Environment) Index(device string) (uint32, error) {
	if n, err := parseInteger(device); err == nil {
		return uint32(n), nil
	}
	if device == "lo" {
		return 1, nil
	}
	names := []string{"lo"}
	for _, d := range e.island.Devices() {
		if d.Name == device {
			return uint32(d.Index), nil
		}
		names = append(names, d.Name)
	}
	return 0, fmt.Errorf("%s", unknown("device", device, names))
}

// mac is the address of the device of an index, nil if there is none.
func (e *Environment) mac(index uint32) net.HardwareAddr {
	for _, d := range e.island.Devices() {
		if d.Index == int(index) {
			return d.MAC
		}
	}
	return nil
}
