package bpf

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/cilium/ebpf"
)

// Endpoint is a pod of the node.
type Endpoint struct {
	Device     int              // interface index of the pod's lxc device on the node
	MAC        net.HardwareAddr // of the pod's eth0
	DeviceMAC  net.HardwareAddr // of the lxc device, which the pod takes for its gateway's
	IPv4, IPv6 netip.Addr       // a zero address: no such family

	// OnWire: what packet by packet is decided about this pod, such as by a policy, is decided about all its packets. Its
	// TCP sessions are not redirected (Options.RedirectSessions). It holds for sessions established from then on.
	OnWire bool
}

// PutEndpoint makes a pod known, or changes it.
func (n *Node) PutEndpoint(e Endpoint) error {
	mac, err := rawMAC(e.MAC)
	if err != nil {
		return fmt.Errorf("bpf: endpoint %s: MAC: %w", e.name(), err)
	}
	deviceMAC, err := rawMAC(e.DeviceMAC)
	if err != nil {
		return fmt.Errorf("bpf: endpoint %s: DeviceMAC: %w", e.name(), err)
	}
	device := hostDevice{Ipv4: rawAddr(e.IPv4), Ipv6: rawAddr(e.IPv6), LxcMac: deviceMAC}
	if err := n.Maps.Devices.Put(uint32(e.Device), device); err != nil {
		return fmt.Errorf("bpf: endpoint %s: device: %w", e.name(), err)
	}
	for _, a := range e.addresses() {
		value := hostEndpoint{PodMac: mac, LxcMac: deviceMAC, Ifindex: uint32(e.Device), OnWire: uint32(flag(e.OnWire))}
		if err := n.Maps.Endpoints.Put(rawAddr(a), value); err != nil {
			return fmt.Errorf("bpf: endpoint %s: %s: %w", e.name(), a, err)
		}
	}
	return nil
}

// DeleteEndpoint forgets a pod. One that is not known is no error.
func (n *Node) DeleteEndpoint(e Endpoint) error {
	for _, a := range e.addresses() {
		if err := n.Maps.Endpoints.Delete(rawAddr(a)); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("bpf: endpoint %s: %s: %w", e.name(), a, err)
		}
	}
	if err := n.Maps.Devices.Delete(uint32(e.Device)); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("bpf: endpoint %s: device: %w", e.name(), err)
	}
	return nil
}

func (e Endpoint) addresses() []netip.Addr {
	var valid []netip.Addr
	for _, a := range []netip.Addr{e.IPv4, e.IPv6} {
		if a.IsValid() {
			valid = append(valid, a)
		}
	}
	return valid
}

func (e Endpoint) name() string {
	return fmt.Sprintf("of device %d (%s, %s)", e.Device, e.IPv4, e.IPv6)
}
