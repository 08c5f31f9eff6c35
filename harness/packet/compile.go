package packet

import (
	"encoding/binary"
	"net/netip"
	"reflect"
	"slices"
)

// A Matcher is a template made ready to be matched with many frames. Most that match are recognised by a look at the bytes
// that the template names, without being decoded.
type Matcher struct {
	template    Template
	bytes, mask []byte // what the frame must start with; nil if only decoding tells
	ip, udp     int    // where the headers start, 0 if there is none
	least       int    // bytes that the IP packet has at least
}

// Compile makes a template ready.
func Compile(t Template) *Matcher {
	m := &Matcher{template: t}
	headers, err := unfold(t)
	if err == nil && !m.compile(headers) {
		m.bytes, m.mask = nil, nil
	}
	return m
}

// Matches tells whether a frame is what the template says, as Match does.
func (m *Matcher) Matches(frame []byte) bool {
	if m.mask != nil && m.quick(frame) {
		return true
	}
	p, _ := Decode(frame)
	return Match(m.template, p) == nil
}

// quick recognises frames that match; not all of them.
func (m *Matcher) quick(frame []byte) bool {
	if len(frame) < len(m.bytes) {
		return false
	}
	for i, mask := range m.mask {
		if (frame[i]^m.bytes[i])&mask != 0 {
			return false
		}
	}
	if m.ip == 0 {
		return true
	}
	if m.udp > 0 && binary.BigEndian.Uint16(frame[m.udp+4:]) < udpSize {
		return false
	}
	length := int(binary.BigEndian.Uint16(frame[m.ip+2:]))
	if frame[m.ip]>>4 == 6 {
		length = ipv6Size + int(binary.BigEndian.Uint16(frame[m.ip+4:]))
	}
	return length >= m.least && length <= len(frame)-m.ip
}

// compile writes the bytes that headers name, and those that tell that each header is where it is taken to be. It returns
// false where it does not know enough: of tunnels, options, payloads, flags that share a byte.
func (m *Matcher) compile(headers []header) bool {
	for i := range headers {
		h := &headers[i]
		at := len(m.bytes)
		if _, ok := h.layer.(anyIP); ok && i+1 < len(headers) {
			h.layer = familyBy(headers[i+1].layer)
		}
		if isIP(h.layer) && m.ip > 0 {
			return false // a tunnel
		}
		switch h.layer.(type) {
		case Ethernet:
			m.room(ethernetSize)
		case IPv4:
			m.room(ipv4Size)
			m.set(at, 0x45) // version, and five words of header: no options
			m.mask[at+6], m.mask[at+7] = 0x3f, 0xff
			m.ip = at
			m.put(at-2, 2, uint64(EtherTypeIPv4))
		case IPv6:
			m.room(ipv6Size)
			m.bytes[at], m.mask[at] = 0x60, 0xf0
			m.ip = at
			m.put(at-2, 2, uint64(EtherTypeIPv6))
		case TCP, UDP, ICMP: // of ICMPv6, types of neighbour discovery have options, which only decoding tells to be whole
			if i == 0 || !m.transport(at, h.layer, headers[i-1].layer) {
				return false
			}
		default:
			return false
		}
		for index, name := range h.namedFields() {
			if !m.field(at, h, name, reflect.ValueOf(h.layer).Field(index).Interface()) {
				return false
			}
		}
	}
	m.least = len(m.bytes) - m.ip
	return true
}

// familyBy is the IP header of the family that a transport's addresses have; anyIP if it has none.
func familyBy(transport Template) Template {
	said, ok := transport.(addressed)
	if !ok {
		return anyIP{}
	}
	src, dst := said.addresses()
	for _, addr := range []netip.Addr{plain(src), plain(dst)} {
		switch {
		case addr.Is4():
			return IPv4{}
		case addr.Is6():
			return IPv6{}
		}
	}
	return anyIP{}
}

// room makes room for a header.
func (m *Matcher) room(size int) {
	m.bytes, m.mask = append(m.bytes, make([]byte, size)...), append(m.mask, make([]byte, size)...)
}

func (m *Matcher) set(at int, bytes ...byte) {
	for i, b := range bytes {
		m.bytes[at+i], m.mask[at+i] = b, 0xff
	}
}

// put writes a number of so many bytes, big endian.
func (m *Matcher) put(at, size int, n uint64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	m.set(at, b[8-size:]...)
}

// transport makes room for a transport header, announced by the IP header before it, of which no options are known.
func (m *Matcher) transport(at int, layer, carrier Template) bool {
	protocol, size := protocolOf(layer, ProtocolReserved), map[Protocol]int{
		ProtocolTCP: tcpSize, ProtocolUDP: udpSize, ProtocolICMP: icmpSize,
	}
	switch carrier.(type) {
	case IPv4:
		m.set(m.ip+9, byte(protocol))
	case IPv6:
		m.set(m.ip+6, byte(protocol))
	default:
		return false // either family, or behind extension headers
	}
	m.room(size[protocol])
	switch protocol {
	case ProtocolTCP:
		m.bytes[at+12], m.mask[at+12] = 0x50, 0xf0 // five words of header
	case ProtocolUDP:
		m.udp = at
	}
	return true
}

// A spot is where a field stands in its header, in bytes.
type spot struct{ at, size int }

// spots are the fields that are whole bytes of their header.
var spots = map[reflect.Type]map[string]spot{
	reflect.TypeFor[Ethernet](): {"Dst": {0, 6}, "Src": {6, 6}, "Type": {12, 2}},
	reflect.TypeFor[IPv4](): {
		"TOS": {1, 1}, "Length": {2, 2}, "ID": {4, 2}, "TTL": {8, 1}, "Protocol": {9, 1}, "Checksum": {10, 2}, "Src": {12, 4}, "Dst": {16, 4},
	},
	reflect.TypeFor[IPv6](): {"Length": {4, 2}, "NextHeader": {6, 1}, "HopLimit": {7, 1}, "Src": {8, 16}, "Dst": {24, 16}},
	reflect.TypeFor[TCP]():  {"Src": {0, 2}, "Dst": {2, 2}, "Seq": {4, 4}, "Ack": {8, 4}, "Window": {14, 2}, "Checksum": {16, 2}, "Urgent": {18, 2}},
	reflect.TypeFor[UDP]():  {"Src": {0, 2}, "Dst": {2, 2}, "Length": {4, 2}, "Checksum": {6, 2}},
}

// field writes a field that is named.
func (m *Matcher) field(at int, h *header, name string, value any) bool {
	if flags, ok := value.(Flags); ok {
		m.bytes[at+12] |= byte(flags >> 8 & 1)
		m.mask[at+12] |= 1
		m.set(at+13, byte(flags))
		return true
	}
	s, ok := spots[reflect.TypeOf(h.layer)][name]
	if !ok {
		return false
	}
	switch v := value.(type) {
	case netip.Addr:
		return m.address(at+s.at, s.size, v)
	case netip.AddrPort:
		if v.Port() != 0 {
			m.put(at+s.at, s.size, uint64(v.Port()))
		}
		return !v.Addr().IsValid() || m.endOf(name, v.Addr())
	}
	v := reflect.ValueOf(value)
	if v.Kind() == reflect.Slice { // a MAC
		if v.Len() != s.size {
			return false
		}
		m.set(at+s.at, v.Bytes()...)
		return true
	}
	m.put(at+s.at, s.size, v.Uint())
	return true
}

// endOf writes the address of a transport's end, which is in the IP header.
func (m *Matcher) endOf(name string, addr netip.Addr) bool {
	if m.bytes[m.ip]>>4 == 4 {
		s := spots[reflect.TypeFor[IPv4]()][name]
		return m.address(m.ip+s.at, s.size, addr)
	}
	s := spots[reflect.TypeFor[IPv6]()][name]
	return m.address(m.ip+s.at, s.size, addr)
}

func (m *Matcher) address(at, size int, addr netip.Addr) bool {
	b := plain(addr).AsSlice()
	if len(b) != size || addr.Zone() != "" {
		return false
	}
	if slices.Contains(m.mask[at:at+size], 0xff) && !slices.Equal(m.bytes[at:at+size], b) {
		return false // two layers say different addresses
	}
	m.set(at, b...)
	return true
}
