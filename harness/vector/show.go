package vector

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// show says the bytes of a value as they would be written.
func (s shape) show(whole []byte) string {
	if s.bits > 0 {
		return strconv.FormatUint(s.bitsOf(whole), 10)
	}
	b := whole[s.offset : s.offset+s.size]
	if text, ok := s.showAddress(b); ok {
		return text
	}
	if signed, _, ok := s.integer(); ok {
		return s.showNumber(b, signed)
	}
	switch {
	case s.isText():
		text, _, _ := strings.Cut(string(b), "\x00")
		return strconv.Quote(text)
	case s.isUnion():
		return "{hex: " + fmt.Sprintf("%x", b) + "}"
	case s.members() != nil:
		return "{" + strings.Join(s.showMembers(whole), ", ") + "}"
	case s.length() > 0 && s.element(0).size > 1:
		var parts []string
		for i := range s.length() {
			parts = append(parts, s.element(i).show(whole))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return "{hex: " + fmt.Sprintf("%x", b) + "}"
}

// showMembers says the members that are not zero.
func (s shape) showMembers(whole []byte) (parts []string) {
	for _, m := range s.members() {
		part := s.member(m)
		if part.isZero(whole) {
			continue
		}
		if m.Name == "" && !part.isUnion() {
			parts = append(parts, part.showMembers(whole)...)
			continue
		}
		name := m.Name
		if name == "" && part.isUnion() {
			name, part = part.members()[0].Name, part.member(part.members()[0])
		}
		parts = append(parts, name+": "+part.show(whole))
	}
	return parts
}

func (s shape) isZero(whole []byte) bool {
	if s.bits > 0 {
		return s.bitsOf(whole) == 0
	}
	for _, b := range whole[s.offset : s.offset+s.size] {
		if b != 0 {
			return false
		}
	}
	return true
}

func (s shape) bitsOf(whole []byte) (n uint64) {
	for i := range s.bits {
		n |= uint64(whole[(s.bit+i)/8]>>((s.bit+i)%8)&1) << i
	}
	return n
}

func (s shape) showNumber(b []byte, signed bool) string {
	n := getUint(b)
	if s.bigEndian {
		padded := make([]byte, 8)
		copy(padded[8-len(b):], b)
		n = binary.BigEndian.Uint64(padded)
	}
	if enum, ok := s.Type.(*btf.Enum); ok {
		if text, ok := showEnum(enum, n); ok {
			return text
		}
	}
	if integer, ok := s.Type.(*btf.Int); ok && integer.Encoding == btf.Bool && n <= 1 {
		return strconv.FormatBool(n == 1)
	}
	if signed {
		shift := 64 - 8*len(b)
		return strconv.FormatInt(int64(n<<shift)>>shift, 10)
	}
	return strconv.FormatUint(n, 10)
}

// showEnum says the name of a value, or the names of its bits.
func showEnum(enum *btf.Enum, n uint64) (string, bool) {
	var bits []string
	rest := n
	for _, v := range enum.Values {
		if v.Value == n {
			return v.Name, true
		}
		if v.Value != 0 && v.Value&(v.Value-1) == 0 && n&v.Value != 0 {
			bits = append(bits, v.Name)
			rest &^= v.Value
		}
	}
	return strings.Join(bits, "|"), rest == 0 && n != 0
}

// showAddress says the bytes of what is an address or a MAC by its length and type.
func (s shape) showAddress(b []byte) (string, bool) {
	elements := s.length()
	bytes := elements > 0 && s.element(0).size == 1 && !s.isText()
	named := strings.Contains(s.name, "addr")
	switch {
	case len(b) == 4 && (s.bigEndian || bytes || named):
		return netip.AddrFrom4([4]byte(b)).String(), true
	case len(b) == 6 && (bytes || named):
		return net.HardwareAddr(b).String(), true
	case len(b) == 16 && (bytes || named || elements == 4 && s.element(0).bigEndian):
		return netip.AddrFrom16([16]byte(b)).Unmap().String(), true
	}
	return "", false
}
