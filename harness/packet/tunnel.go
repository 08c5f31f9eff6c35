package packet

import (
	"fmt"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// VXLAN is a VXLAN header (RFC 7348). The frame that follows it is completed
// like one of its own; the UDP header before it, and the ones before that, are
// implied as far as their addresses are known.
type VXLAN struct {
	VNI uint32 // 24 bits
}

func (VXLAN) template() {}

func (l VXLAN) String() string { return say(l) }

// VXLANPort is the UDP port of VXLAN, the one of Linux. Packets to the port that
// IANA gave it, 4789, are read as VXLAN too.
const VXLANPort = 8472

const (
	vxlanPortIANA = 4789
	vxlanSize     = 8
)

func (l VXLAN) fill(*filling) layer { return l }

func (l VXLAN) prepend(b gopacket.SerializeBuffer, _ *header) error {
	if err := fits("VNI", l.VNI, 24); err != nil {
		return err
	}
	wire := layers.VXLAN{ValidIDFlag: true, VNI: l.VNI}
	return wire.SerializeTo(b, computed)
}

// isVXLAN reports whether a datagram to port is VXLAN. The flags have to be those
// of RFC 7348, so that a payload of another kind on the port is left alone.
func isVXLAN(port uint16, payload []byte) bool {
	const hasVNI = 0x08
	return (port == VXLANPort || port == vxlanPortIANA) && len(payload) >= vxlanSize && payload[0] == hasVNI
}

func (d *decoder) vxlan() (step, error) {
	var wire layers.VXLAN
	if err := wire.DecodeFromBytes(d.rest.b, d); err != nil {
		return nil, fmt.Errorf("VXLAN header: %w", err)
	}
	d.push(VXLAN{VNI: wire.VNI}, vxlanSize)
	return (*decoder).ethernet, nil
}
