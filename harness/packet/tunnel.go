package packet

// VXLAN is a VXLAN header (RFC 7348). The frame that follows it is completed
// like one of its own; the UDP header before it, and the ones before that, are
// implied as far as their addresses are known.
type VXLAN struct {
	VNI uint32 // 24 bits
}

func (VXLAN) template() {}

// VXLANPort is the UDP port of VXLAN, the one of Linux. Packets to the port that
// IANA gave it, 4789, are read as VXLAN too.
const VXLANPort = 8472
