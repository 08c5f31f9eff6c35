package topo

import (
	"context"
	"fmt"
	"net/netip"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// AddressAdd gives the machine one more address, on lo: it takes what is sent there for its own, and may answer from it. On
// its link it does not own up to the address, so that many may have the same, as the servers behind a balancer have a
// service's; packets get there by a route or a tunnel.
func (m *Machine) AddressAdd(ip netip.Addr) error {
	if ip.Is4() {
		for key, value := range map[string]string{
			"net.ipv4.conf.all.arp_ignore":   "1", // answer only for addresses of the device that is asked
			"net.ipv4.conf.all.arp_announce": "2", // ask as one of them, too
		} {
			if err := m.Sysctl(key, value); err != nil {
				return err
			}
		}
	}
	lo := m.loopback()
	if err := m.rtnl.do(newAddress(lo, single(ip))); err != nil {
		return fmt.Errorf("topo: %w", err)
	}
	if ip.Is4() {
		return nil
	}
	// The kernel takes up an address of IPv6 late: see settle.
	err := m.settle(context.Background(), func() (string, error) {
		return m.unreadyLocal(map[local]Device{{lo.Index, ip}: lo})
	})
	if err != nil {
		return fmt.Errorf("topo: %w", err)
	}
	return nil
}

// AddressDelete takes an address away that AddressAdd gave.
func (m *Machine) AddressDelete(ip netip.Addr) error {
	if err := m.rtnl.do(deleteAddress(m.loopback(), single(ip))); err != nil {
		return fmt.Errorf("topo: %w", err)
	}
	return nil
}

// loopback is the device that is only the machine's own.
func (m *Machine) loopback() Device { return Device{Machine: m.name, Name: "lo", Index: loopback} }

// A local address of a device, by its index.
type local struct {
	index int
	ip    netip.Addr
}

// unreadyLocal names one of the IPv6 addresses, each with its device, that the kernel has not taken up.
func (m *Machine) unreadyLocal(missing map[local]Device) (string, error) {
	err := m.rtnl.query([]request{localRoutes(m.name)}, func(msg syscall.NetlinkMessage) {
		if msg.Header.Type != unix.RTM_NEWROUTE || nl.DeserializeRtMsg(msg.Data).Type != unix.RTN_LOCAL {
			return
		}
		attrs, err := nl.ParseRouteAttrAsMap(msg.Data[unix.SizeofRtMsg:])
		if err != nil {
			return
		}
		if ip, ok := netip.AddrFromSlice(attrs[unix.RTA_DST].Value); ok {
			delete(missing, local{int(number(attrs[unix.RTA_OIF])), ip})
		}
	})
	for address, device := range missing {
		return fmt.Sprintf("address %s of %s", address.ip, device), err
	}
	return "", err
}
