package packet

import (
	"fmt"
	"net"
)

// Ethernet is an Ethernet II header.
type Ethernet struct {
	Src  net.HardwareAddr // default: Defaults.SrcMAC
	Dst  net.HardwareAddr // default: the group's address for ARP and multicast, else Defaults.DstMAC
	Type EtherType        // default: that of the next layer
}

func (Ethernet) template() {}

// EtherType says what an Ethernet frame carries.
type EtherType uint16

// The Ethernet types that this package understands.
const (
	EtherTypeIPv4 EtherType = 0x0800
	EtherTypeARP  EtherType = 0x0806
	EtherTypeIPv6 EtherType = 0x86dd
)

func (t EtherType) String() string { return fmt.Sprintf("0x%04x", uint16(t)) }
