package topo

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

const (
	maxDeviceName = 15 // include/uapi/linux/if.h, IFNAMSIZ less the zero byte
	macLength     = 6
)

// claims are the names, addresses and MACs of a topology, and who has them: nothing may belong to two.
type claims struct {
	machines  map[string]string // name → who, such as "node node1"
	addresses map[netip.Addr]string
	macs      map[string]string
	devices   map[string]string // "node1/lxc-web" → the name of the pod
}

func newClaims() *claims {
	return &claims{map[string]string{}, map[netip.Addr]string{}, map[string]string{}, map[string]string{}}
}

// machine claims what every machine has.
func (c *claims) machine(who, name string, ipv4, ipv6 netip.Addr, mac net.HardwareAddr) error {
	if name == "" || name == switchName || strings.ContainsAny(name, notInNames) {
		return fmt.Errorf("%q cannot name a machine: take a name without spaces, slashes and colons, other than %q", name, switchName)
	}
	if other, taken := c.machines[name]; taken {
		return fmt.Errorf("%s and %s have the same name: rename one of them", other, who)
	}
	c.machines[name] = who
	if err := c.address(who, IPv4, ipv4); err != nil {
		return err
	}
	if err := c.address(who, IPv6, ipv6); err != nil {
		return err
	}
	return c.mac(who, mac)
}

// underlay claims what a node or host has.
func (c *claims) underlay(who, name string, ipv4, ipv6 netip.Addr, mac net.HardwareAddr) error {
	if err := c.machine(who, name, ipv4, ipv6, mac); err != nil {
		return err
	}
	const mend = "%s has the address %s, which is not on the underlay: take one from %s"
	if !UnderlayIPv4.Contains(ipv4) {
		return fmt.Errorf(mend, who, ipv4, UnderlayIPv4)
	}
	if !UnderlayIPv6.Contains(ipv6) {
		return fmt.Errorf(mend, who, ipv6, UnderlayIPv6)
	}
	return nil
}

func (c *claims) address(who string, family Family, ip netip.Addr) error {
	if !ip.IsValid() {
		return fmt.Errorf("%s has no %s address: give it one, or let Topology.AddNode, AddPod or AddHost do it", who, family)
	}
	if familyOf(ip) != family || ip.IsMulticast() || ip.IsUnspecified() || ip.Zone() != "" {
		return fmt.Errorf("%s has %q for its %s address: give it one", who, ip, family)
	}
	if other, taken := c.addresses[ip]; taken {
		return fmt.Errorf("%s and %s have the same address %s: give one of them another", other, who, ip)
	}
	c.addresses[ip] = who
	return nil
}

func (c *claims) mac(who string, mac net.HardwareAddr) error {
	if err := validMAC(who, mac); err != nil {
		return err
	}
	if other, taken := c.macs[mac.String()]; taken {
		return fmt.Errorf("%s and %s have the same MAC %s: give one of them another", other, who, mac)
	}
	c.macs[mac.String()] = who
	return nil
}

func validMAC(who string, mac net.HardwareAddr) error {
	if len(mac) != macLength || mac[0]&1 != 0 || slices.Max(mac) == 0 {
		return fmt.Errorf("%s has %q for its MAC: give it a unicast one of six bytes", who, mac)
	}
	return nil
}

// device claims the name of a pod's device among those of its node.
func (c *claims) device(p Pod) error {
	if !validDevice(p.Device) || p.Device == NIC || p.Device == WireGuardDevice {
		return fmt.Errorf("pod %s has the device %q: take a name of at most %d bytes, such as lxc-web", p.Name, p.Device, maxDeviceName)
	}
	name := p.Node + "/" + p.Device
	if other, taken := c.devices[name]; taken {
		return fmt.Errorf("pods %s and %s have the same device %s on node %s: rename one of them", other, p.Name, p.Device, p.Node)
	}
	c.devices[name] = p.Name
	return nil
}

// notInNames are bytes that the kernel allows in no name of a device (net/core/dev.c, dev_valid_name).
const notInNames = "/: \t\n\v\f\r"

// validDevice tells whether the kernel takes a name for a device, and has not got one of that name from the start.
func validDevice(name string) bool {
	taken := []string{"", ".", "..", "lo", "all", "default"} // the last two in sysctls
	return len(name) <= maxDeviceName && !slices.Contains(taken, name) && !strings.ContainsAny(name, notInNames)
}

// onUnderlay checks that what is about a machine names a node or host.
func (c *claims) onUnderlay(what, machine string) error {
	who, ok := c.machines[machine]
	if !ok || strings.HasPrefix(who, "pod ") {
		return fmt.Errorf("%s is about %q, which is no node or host: name one", what, machine)
	}
	return nil
}
