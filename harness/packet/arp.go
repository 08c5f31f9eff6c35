package packet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// ARP is an ARP message for IPv4 over Ethernet (RFC 826).
type ARP struct {
	Op        ARPOp            // default: ARPRequest
	SenderMAC net.HardwareAddr // default: Defaults.SrcMAC
	SenderIP  netip.Addr       // default: Defaults.SrcIPv4
	TargetMAC net.HardwareAddr // default: zeros in a request, Defaults.DstMAC in a reply
	TargetIP  netip.Addr       // default in a reply: SenderIP, as in an announcement
}

func (ARP) template() {}

func (l ARP) String() string { return say(l) }

// ARPOp is the operation of an ARP message.
type ARPOp uint16

// The ARP operations.
const (
	ARPRequest ARPOp = 1
	ARPReply   ARPOp = 2
)

func (o ARPOp) String() string {
	switch o {
	case ARPRequest:
		return "request"
	case ARPReply:
		return "reply"
	}
	return fmt.Sprint(uint16(o))
}

const arpSize = 28

func (l ARP) fill(f *filling) layer {
	fill(f, "Op", &l.Op, ARPRequest)
	fill(f, "SenderIP", &l.SenderIP, f.SrcIPv4)
	l.SenderMAC = firstMAC(l.SenderMAC, f.SrcMAC)
	if l.Op == ARPReply {
		l.TargetMAC = firstMAC(l.TargetMAC, f.DstMAC)
		fill(f, "TargetIP", &l.TargetIP, l.SenderIP)
	}
	l.TargetMAC = firstMAC(l.TargetMAC)
	return l
}

// receiver returns the link-layer address that the message goes to: all, for a
// request or an announcement.
func (l ARP) receiver() net.HardwareAddr {
	if l.Op == ARPRequest || l.TargetIP == l.SenderIP {
		return broadcast
	}
	return l.TargetMAC
}

func (l ARP) prepend(b gopacket.SerializeBuffer, _ *header) error {
	if !plain(l.SenderIP).Is4() || !plain(l.TargetIP).Is4() {
		return errors.New("SenderIP and TargetIP have to be IPv4 addresses")
	}
	if len(l.SenderMAC) != 6 || len(l.TargetMAC) != 6 {
		return errors.New("SenderMAC and TargetMAC have to have 6 bytes")
	}
	wire := layers.ARP{
		AddrType:          layers.LinkTypeEthernet,
		Protocol:          layers.EthernetTypeIPv4,
		Operation:         uint16(l.Op),
		SourceHwAddress:   l.SenderMAC,
		SourceProtAddress: plain(l.SenderIP).AsSlice(),
		DstHwAddress:      l.TargetMAC,
		DstProtAddress:    plain(l.TargetIP).AsSlice(),
	}
	return wire.SerializeTo(b, computed)
}

func (d *decoder) arp() (step, error) {
	if err := d.need("ARP", arpSize); err != nil {
		return nil, err
	}
	b := d.rest.b
	if b[4] != 6 || b[5] != 4 {
		return nil, fmt.Errorf("ARP for addresses of %d and %d bytes, not Ethernet and IPv4", b[4], b[5])
	}
	var wire layers.ARP
	if err := wire.DecodeFromBytes(b, d); err != nil {
		return nil, err
	}
	d.push(ARP{
		Op:        ARPOp(wire.Operation),
		SenderMAC: wire.SourceHwAddress,
		SenderIP:  addrOf(wire.SourceProtAddress),
		TargetMAC: wire.DstHwAddress,
		TargetIP:  addrOf(wire.DstProtAddress),
	}, arpSize)
	d.rest = chunk{} // what follows is padding
	return nil, nil
}
