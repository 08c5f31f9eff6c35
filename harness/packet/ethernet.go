package packet

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"github.com/google/gopacket"
)

// Ethernet is an Ethernet II header.
type Ethernet struct {
	Src  net.HardwareAddr // default: Defaults.SrcMAC
	Dst  net.HardwareAddr // default: that of a group which the packet is for, the target of an ARP reply, else Defaults.DstMAC
	Type EtherType        // default: that of the next layer
}

func (Ethernet) template() {}

func (l Ethernet) String() string { return say(l) }

// EtherType says what an Ethernet frame carries.
type EtherType uint16

// The Ethernet types that this package understands.
const (
	EtherTypeIPv4 EtherType = 0x0800
	EtherTypeARP  EtherType = 0x0806
	EtherTypeIPv6 EtherType = 0x86dd
)

func (t EtherType) String() string {
	switch t {
	case EtherTypeIPv4:
		return "IPv4"
	case EtherTypeARP:
		return "ARP"
	case EtherTypeIPv6:
		return "IPv6"
	}
	return fmt.Sprintf("0x%04x", uint16(t))
}

const ethernetSize = 14

var broadcast = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

func (l Ethernet) fill(f *filling) layer {
	var to net.HardwareAddr
	switch next := f.next.(type) {
	case IPv4:
		fill(f, "Type", &l.Type, EtherTypeIPv4)
		to = groupMAC(next.Dst)
	case IPv6:
		fill(f, "Type", &l.Type, EtherTypeIPv6)
		to = groupMAC(next.Dst)
	case ARP:
		fill(f, "Type", &l.Type, EtherTypeARP)
		to = next.receiver()
	}
	l.Src = firstMAC(l.Src, f.SrcMAC)
	l.Dst = firstMAC(l.Dst, to, f.DstMAC)
	return l
}

// prepend does not use gopacket, which pads frames to 60 bytes, inner ones too,
// and takes types below 0x600 for lengths; decoding it, likewise.
func (l Ethernet) prepend(b gopacket.SerializeBuffer, _ *header) error {
	if len(l.Src) != 6 || len(l.Dst) != 6 {
		return fmt.Errorf("a MAC has 6 bytes, not those of %v and %v", l.Src, l.Dst)
	}
	frame, err := b.PrependBytes(ethernetSize)
	if err != nil {
		return err
	}
	copy(frame[0:6], l.Dst)
	copy(frame[6:12], l.Src)
	binary.BigEndian.PutUint16(frame[12:], uint16(l.Type))
	return nil
}

func (d *decoder) ethernet() (step, error) {
	if err := d.need("Ethernet", ethernetSize); err != nil {
		return nil, err
	}
	b := d.rest.b
	l := Ethernet{Dst: b[0:6:6], Src: b[6:12:12], Type: EtherType(binary.BigEndian.Uint16(b[12:]))}
	d.push(l, ethernetSize)
	switch l.Type {
	case EtherTypeIPv4:
		return (*decoder).ipv4, nil
	case EtherTypeIPv6:
		return (*decoder).ipv6, nil
	case EtherTypeARP:
		return (*decoder).arp, nil
	}
	return nil, nil
}

// firstMAC returns the first address that is set, or zeros.
func firstMAC(choice ...net.HardwareAddr) net.HardwareAddr {
	for _, mac := range choice {
		if mac != nil {
			return mac
		}
	}
	return make(net.HardwareAddr, 6)
}

// groupMAC returns the address of a multicast group (RFC 1112, RFC 2464) or of
// IPv4 broadcast, nil of other addresses.
func groupMAC(addr netip.Addr) net.HardwareAddr {
	b := addr.AsSlice()
	switch {
	case addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return broadcast
	case !addr.IsMulticast():
		return nil
	case addr.Is4():
		return net.HardwareAddr{0x01, 0x00, 0x5e, b[1] & 0x7f, b[2], b[3]}
	}
	return net.HardwareAddr{0x33, 0x33, b[12], b[13], b[14], b[15]}
}
