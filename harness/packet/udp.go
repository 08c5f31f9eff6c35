package packet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// UDP is a UDP datagram (RFC 768).
type UDP struct {
	// An AddrPort with only its address or only its port set leaves the other open.
	Src     netip.AddrPort // default port: see SourcePort
	Dst     netip.AddrPort // default port: VXLANPort before VXLAN
	Payload []byte         // what follows the cookie

	// Computed unless set, so that a header may lie.
	Length   uint16 // header and payload in bytes
	Checksum uint16
}

func (UDP) template() {}

func (l UDP) String() string { return say(l) }

// SourcePort returns the source port (for an echo, the ID) of a packet that
// names none. It depends on nothing but the cookie, and stays clear of
// NodePorts (30000 to 32767) and of the ports that address translation takes
// (49152 to 65535).
func SourcePort(cookie uint64) uint16 { return uint16(20000 + cookie%10000) }

func (l UDP) addresses() (src, dst netip.Addr) { return l.Src.Addr(), l.Dst.Addr() }

func (l UDP) withAddresses(src, dst netip.Addr) Template {
	l.Src, l.Dst = withAddr(l.Src, src), withAddr(l.Dst, dst)
	return l
}

const udpSize = 8

func (l UDP) fill(f *filling) layer {
	l.Src = f.port(l.Src)
	if _, ok := f.next.(VXLAN); ok && l.Dst.Port() == 0 {
		l.Dst = netip.AddrPortFrom(l.Dst.Addr(), VXLANPort)
	}
	return l
}

func (l UDP) prepend(b gopacket.SerializeBuffer, h *header) error {
	if len(l.Payload) > 0 && len(b.Bytes()) > 0 {
		return errors.New("it carries a Payload or the layer that follows, not both")
	}
	if err := prependPayload(b, h, l.Payload); err != nil {
		return err
	}
	wire := layers.UDP{SrcPort: layers.UDPPort(l.Src.Port()), DstPort: layers.UDPPort(l.Dst.Port())}
	if err := wire.SerializeTo(b, computed); err != nil {
		return err
	}
	datagram := b.Bytes()
	if says(h, "Length", l.Length) {
		binary.BigEndian.PutUint16(datagram[4:], l.Length)
	} else if len(datagram) > 65535 {
		return fmt.Errorf("the datagram is %d bytes long, at most 65535 fit", len(datagram))
	}
	putChecksum(datagram, 6, h, l.Checksum, pseudoHeader(l.Src.Addr(), l.Dst.Addr(), ProtocolUDP, len(datagram)))
	if !says(h, "Checksum", l.Checksum) && datagram[6] == 0 && datagram[7] == 0 {
		datagram[6], datagram[7] = 0xff, 0xff // zero would say that there is no checksum
	}
	return nil
}

func (d *decoder) udp() (step, error) {
	if err := d.need("UDP", udpSize); err != nil {
		return nil, err
	}
	var wire layers.UDP
	if err := wire.DecodeFromBytes(d.rest.b, d); err != nil {
		return nil, fmt.Errorf("UDP header: %w", err)
	}
	if wire.Length > 0 {
		d.rest = d.rest.limit(int(wire.Length))
	}
	l := UDP{
		Src:      netip.AddrPortFrom(d.src, uint16(wire.SrcPort)),
		Dst:      netip.AddrPortFrom(d.dst, uint16(wire.DstPort)),
		Length:   wire.Length,
		Checksum: wire.Checksum,
	}
	if isVXLAN(l.Dst.Port(), wire.Payload) {
		d.push(l, udpSize)
		return (*decoder).vxlan, nil
	}
	l.Payload = afterCookie(wire.Payload)
	d.push(l, udpSize)
	d.rest = chunk{}
	return nil, nil
}
