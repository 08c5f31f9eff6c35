package vector

import (
	"strings"

	"github.com/cilium/ebpf/btf"
)

// shape is a type as values of it are written and shown: without names for the same thing and qualifiers.
type shape struct {
	btf.Type     // nil where the object says nothing: so many bytes
	bigEndian    bool
	name         string // that it goes by, if any
	offset, size int    // within the whole, in bytes
	bit, bits    int    // of a bitfield: where it starts within the whole, and how wide it is; bits is 0 for others
}

// shapeOf is the shape of a whole of so many bytes.
func shapeOf(t btf.Type, size int) shape { return shape{size: size}.of(t) }

// of takes the names off a type. One of them may tell the byte order.
func (s shape) of(t btf.Type) shape {
	s.Type, s.bigEndian, s.name = nil, false, ""
	for t != nil {
		if s.name == "" {
			s.name = t.TypeName()
		}
		switch named := t.(type) {
		case *btf.Typedef:
			switch strings.TrimLeft(named.Name, "_") {
			case "be16", "be32", "be64":
				s.bigEndian = true
			}
			t = named.Type
		case *btf.Const:
			t = named.Type
		case *btf.Volatile:
			t = named.Type
		case *btf.TypeTag:
			t = named.Type
		case *btf.Restrict:
			t = named.Type
		default:
			s.Type = t
			return s
		}
	}
	return s
}

// at is the part of a whole where a type of that size stands.
func (s shape) at(offset int, t btf.Type) shape {
	size, err := btf.Sizeof(t)
	if err != nil {
		size = 0
	}
	return shape{offset: s.offset + offset, size: size}.of(t)
}

// member is a field of a struct or union.
func (s shape) member(m btf.Member) shape {
	part := s.at(int(m.Offset.Bytes()), m.Type)
	if m.BitfieldSize > 0 {
		part.bit, part.bits = 8*s.offset+int(m.Offset), int(m.BitfieldSize)
	}
	return part
}

// members are those of a struct or union; nil of other types.
func (s shape) members() []btf.Member {
	switch t := s.Type.(type) {
	case *btf.Struct:
		return t.Members
	case *btf.Union:
		return t.Members
	}
	return nil
}

// find is the member of that name, at whatever depth of unnamed structs and unions it stands.
func (s shape) find(name string) (shape, bool) {
	for _, m := range s.members() {
		part := s.member(m)
		if m.Name == name {
			return part, true
		}
		if m.Name == "" {
			if found, ok := part.find(name); ok {
				return found, true
			}
		}
	}
	return shape{}, false
}

// names lists the members that can be named.
func (s shape) memberNames() (names []string) {
	for _, m := range s.members() {
		if m.Name == "" {
			names = append(names, s.member(m).memberNames()...)
			continue
		}
		names = append(names, m.Name)
	}
	return names
}

// isUnion tells the types of which only one member counts at a time.
func (s shape) isUnion() bool {
	_, ok := s.Type.(*btf.Union)
	return ok
}

// element is one of an array's.
func (s shape) element(i int) shape {
	array := s.Type.(*btf.Array)
	size, err := btf.Sizeof(array.Type)
	if err != nil {
		size = 0
	}
	return s.at(i*size, array.Type)
}

// length is how many elements an array has; a flexible one has as many as there is room for.
func (s shape) length() int {
	array, ok := s.Type.(*btf.Array)
	if !ok {
		return 0
	}
	return int(array.Nelems)
}

// integer is the type of a number, with its sign and whether it is a letter; ok is false for other types.
func (s shape) integer() (signed, letter, ok bool) {
	switch t := s.Type.(type) {
	case *btf.Int:
		return t.Encoding == btf.Signed, t.Name == "char", true
	case *btf.Enum:
		return t.Signed, false, true
	case *btf.Pointer:
		return false, false, true
	case nil:
		return false, false, s.size == 1 || s.size == 2 || s.size == 4 || s.size == 8
	}
	return false, false, false
}

// isText tells arrays of char.
func (s shape) isText() bool {
	if s.length() == 0 {
		return false
	}
	_, letter, ok := s.element(0).integer()
	return ok && letter
}
