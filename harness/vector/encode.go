package vector

import (
	"encoding/binary"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// encoder writes values into bytes as the object's types have them.
type encoder struct {
	// names are what a number may go by: enumerators of the object, and devices.
	names func(string) (uint64, bool)
	known func() []string // lists them, for errors
}

// pattern is an encoded value that knows which of its bits were written.
type pattern struct {
	bytes, mask []byte
	leaves      []leaf
}

// leaf is one part that was written: a number, an address, a text.
type leaf struct {
	path string
	shape
}

func newPattern(size int) *pattern {
	return &pattern{bytes: make([]byte, size), mask: make([]byte, size)}
}

// matches tells whether bytes have what was written.
func (p *pattern) matches(got []byte) bool {
	for i, mask := range p.mask {
		if (p.bytes[i]^got[i])&mask != 0 {
			return false
		}
	}
	return true
}

// set writes the bytes of a leaf.
func (p *pattern) set(path string, s shape, b []byte) {
	copy(p.bytes[s.offset:s.offset+s.size], b)
	for i := range s.size {
		p.mask[s.offset+i] = 0xff
	}
	p.leaves = append(p.leaves, leaf{path, s})
}

// encode writes a value of a type, nil of no known type, and of a size.
func (e *encoder) encode(t btf.Type, size int, w *written) (*pattern, error) {
	p := newPattern(size)
	return p, e.put(p, "", shapeOf(t, size), w)
}

// put writes a value as its shape and the way it is written demand.
func (e *encoder) put(p *pattern, path string, s shape, w *written) error {
	switch {
	case w.kind == null:
		return w.at.errorf("a value belongs here")
	case w.kind == mapping && len(w.fields) == 1 && w.get("hex") != nil:
		return e.putHex(p, path, s, w.get("hex"))
	case w.kind == mapping && len(w.fields) == 1 && w.get("be") != nil && s.members() == nil:
		s.bigEndian = true
		return e.putNumber(p, path, s, w.get("be"))
	case w.kind == mapping:
		return e.putMembers(p, path, s, w)
	case w.kind == list:
		return e.putElements(p, path, s, w)
	}
	return e.putScalar(p, path, s, w)
}

// putHex writes bytes as they are.
func (e *encoder) putHex(p *pattern, path string, s shape, w *written) error {
	b, err := w.bytes("hex")
	if err != nil {
		return err
	}
	if len(b) != s.size {
		return w.at.errorf("these are %d bytes, and %s has %d", len(b), orValue(path), s.size)
	}
	p.set(path, s, b)
	return nil
}

func (e *encoder) putMembers(p *pattern, path string, s shape, w *written) error {
	if s.members() == nil {
		return w.at.errorf("%s is %s, which has no members", orValue(path), s)
	}
	if s.isUnion() && len(w.fields) > 1 && !s.inOneMember(w) {
		return w.at.errorf("%s is a union: name one of its members", orValue(path))
	}
	for _, f := range w.fields {
		part, ok := s.find(f.name)
		if !ok {
			return f.at.errorf("%s", unknown("field", f.name, s.memberNames()))
		}
		if err := e.put(p, join(path, f.name), part, f.value); err != nil {
			return err
		}
	}
	return nil
}

// inOneMember tells whether all fields are of one unnamed struct within the union.
func (s shape) inOneMember(w *written) bool {
	return slices.ContainsFunc(s.members(), func(m btf.Member) bool {
		part := s.member(m)
		outside := func(f field) bool { _, ok := part.find(f.name); return !ok }
		return m.Name == "" && !slices.ContainsFunc(w.fields, outside)
	})
}

func (e *encoder) putElements(p *pattern, path string, s shape, w *written) error {
	if _, ok := s.Type.(*btf.Array); !ok {
		return w.at.errorf("%s is %s, which is no array", orValue(path), s)
	}
	if len(w.items) > s.length() {
		return w.items[s.length()].at.errorf("%s has %d elements, and these are %d", orValue(path), s.length(), len(w.items))
	}
	for i, item := range w.items {
		if err := e.put(p, fmt.Sprintf("%s[%d]", path, i), s.element(i), item); err != nil {
			return err
		}
	}
	return nil
}

// putScalar writes a number, a name, an address, a MAC, or a text.
func (e *encoder) putScalar(p *pattern, path string, s shape, w *written) error {
	if _, _, ok := s.integer(); ok {
		return e.putNumber(p, path, s, w)
	}
	if s.isText() {
		return putText(p, path, s, w)
	}
	for _, b := range addressForms(w.text) {
		if part, ok := s.holding(len(b)); ok {
			p.set(path, part, b)
			return nil
		}
	}
	if members := s.members(); len(members) == 1 && !s.isUnion() {
		return e.put(p, join(path, members[0].Name), s.member(members[0]), w)
	}
	return w.at.errorf("%s is %s, which %s cannot be", orValue(path), s, w)
}

// holding is the part that takes so many bytes: the whole, or the member of a union that is as long.
func (s shape) holding(size int) (shape, bool) {
	if s.isUnion() {
		for _, m := range s.members() {
			if part, ok := s.member(m).holding(size); ok && m.BitfieldSize == 0 {
				return part, true
			}
		}
		return shape{}, false
	}
	return s, s.size == size
}

// addressForms are the bytes that an address or a MAC may be, the likeliest first: an IPv4 address may stand in the place of an
// IPv6 one (RFC 4291, 2.5.5.2).
func addressForms(text string) [][]byte {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		if addr.Is4() {
			mapped := addr.As16()
			return [][]byte{addr.AsSlice(), mapped[:]}
		}
		return [][]byte{addr.AsSlice()}
	}
	if mac, err := net.ParseMAC(text); err == nil {
		return [][]byte{mac}
	}
	return nil
}

func putText(p *pattern, path string, s shape, w *written) error {
	if len(w.text) > s.size {
		return w.at.errorf("%s has room for %d letters, and these are %d", orValue(path), s.size, len(w.text))
	}
	b := make([]byte, s.size)
	copy(b, w.text)
	p.set(path, s, b)
	return nil
}

func (e *encoder) putNumber(p *pattern, path string, s shape, w *written) error {
	if _, _, ok := s.integer(); !ok {
		return w.at.errorf("%s is %s, which is no number", orValue(path), s)
	}
	for _, b := range addressForms(w.text) {
		if len(b) == s.size && s.bits == 0 && w.kind == scalar {
			p.set(path, s, b) // in the order that it has in packets
			return nil
		}
	}
	n, err := e.number(s, w)
	if err != nil {
		return err
	}
	if s.bits > 0 {
		p.setBits(path, s, n)
		return nil
	}
	b := make([]byte, 8)
	if s.bigEndian {
		binary.BigEndian.PutUint64(b, n<<(64-8*s.size))
	} else {
		putUint(b[:s.size], n)
	}
	p.set(path, s, b[:s.size])
	return nil
}

// setBits writes a bitfield. Its first bit is the lowest of its first byte: machines are little-endian here, as the objects are.
func (p *pattern) setBits(path string, s shape, n uint64) {
	for i := range s.bits {
		at, bit := (s.bit+i)/8, byte(1)<<((s.bit+i)%8)
		p.mask[at] |= bit
		p.bytes[at] &^= bit
		if n>>i&1 == 1 {
			p.bytes[at] |= bit
		}
	}
	p.leaves = append(p.leaves, leaf{path, s})
}

// number is the value of a number, a name for one, or several of both joined by |. A negative one comes in two's complement.
func (e *encoder) number(s shape, w *written) (n uint64, err error) {
	text, err := w.scalar("a number")
	if err != nil {
		return 0, err
	}
	signed, _, _ := s.integer()
	bits := 8 * s.size
	if s.bits > 0 {
		bits = s.bits
	}
	if digits, negative := strings.CutPrefix(text, "-"); negative && signed {
		n, err := parseInteger(digits)
		if err != nil {
			return 0, w.at.errorf("%w", err)
		}
		if n > 1<<(bits-1) {
			return 0, w.at.errorf("%s is too small for %d bits", text, bits)
		}
		return -n, nil
	}
	for _, part := range strings.Split(text, "|") {
		value, err := e.word(s, strings.TrimSpace(part))
		if err != nil {
			return 0, w.at.errorf("%w", err)
		}
		n |= value
	}
	if bits < 64 && n>>bits != 0 {
		return 0, w.at.errorf("%s is too large for %d bits", text, bits)
	}
	return n, nil
}

// word is the value of one number or name.
func (e *encoder) word(s shape, text string) (uint64, error) {
	if text == "true" || text == "false" {
		return map[string]uint64{"true": 1}[text], nil
	}
	if isDigit(text) {
		return parseInteger(text)
	}
	if enum, ok := s.Type.(*btf.Enum); ok {
		names := map[string]uint64{}
		for _, v := range enum.Values {
			names[v.Name] = v.Value
		}
		if n, ok := names[text]; ok {
			return n, nil
		}
		return 0, fmt.Errorf("%s", unknown("value of "+s.String(), text, slices.Sorted(maps.Keys(names))))
	}
	if n, ok := e.names(text); ok {
		return n, nil
	}
	return 0, fmt.Errorf("a number belongs here: %s", unknown("device, nor a constant of the object,", text, e.known()))
}

// String names a shape in an error.
func (s shape) String() string {
	switch t := s.Type.(type) {
	case nil:
		return fmt.Sprintf("of %d bytes", s.size)
	case *btf.Struct:
		return strings.TrimSpace("a struct " + t.Name)
	case *btf.Union:
		return strings.TrimSpace("a union " + t.Name)
	case *btf.Enum:
		return strings.TrimSpace("enum " + t.Name)
	case *btf.Array:
		return fmt.Sprintf("an array of %d %s", t.Nelems, s.element(0).name)
	}
	return "a " + s.name
}

func join(path, name string) string {
	switch {
	case path == "":
		return name
	case name == "":
		return path
	}
	return path + "." + name
}

func orValue(path string) string {
	if path == "" {
		return "the value"
	}
	return path
}
