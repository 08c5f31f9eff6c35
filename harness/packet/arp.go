package packet

import (
	"net"
	"net/netip"
)

// ARP is an ARP message for IPv4 over Ethernet (RFC 826).
type ARP struct {
	Op        ARPOp            // default: ARPRequest
	SenderMAC net.HardwareAddr // default: Defaults.SrcMAC
	SenderIP  netip.Addr       // default: Defaults.SrcIPv4
	TargetMAC net.HardwareAddr // default: zeros in a request, Defaults.DstMAC in a reply
	TargetIP  netip.Addr
}

func (ARP) template() {}

// ARPOp is the operation of an ARP message.
type ARPOp uint16

// The ARP operations.
const (
	ARPRequest ARPOp = 1
	ARPReply   ARPOp = 2
)
