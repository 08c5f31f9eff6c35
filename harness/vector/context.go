package vector

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
)

// A Context is what a program is told beside the packet. A field that is zero is the kernel's default when sent, and
// anything when expected.
type Context struct {
	// Ingress is the device that the packet came in by, by its name in the suite's network, or its index: ingress_ifindex.
	Ingress string `yaml:"ingress"`
	// Device is the device that a TC program is attached to: ifindex. Default: Ingress.
	Device  string `yaml:"device"`
	RxQueue uint32 `yaml:"rx_queue"` // XDP
	// Meta is what stands in front of the packet from data_meta on: XDP only, a multiple of 4 bytes.
	Meta Bytes `yaml:"meta"`

	// Of TC programs and others that have a __sk_buff.
	Mark     uint32   `yaml:"mark"`
	Priority uint32   `yaml:"priority"`
	CB       []uint32 `yaml:"cb"` // up to 5
	Tstamp   uint64   `yaml:"tstamp"`
	WireLen  uint32   `yaml:"wire_len"`
	GSOSegs  uint32   `yaml:"gso_segs"`
	GSOSize  uint32   `yaml:"gso_size"`

	Raw Bytes `yaml:"raw"` // the whole context, of types of programs that have another

	// Zero names fields, as they are written, that are expected to be zero.
	Zero []string

	located
}

var contextFields = structOf(reflect.TypeFor[Context]())

func (c *Context) read(w *written) error {
	type plain Context // without this method
	if err := read(w, (*plain)(c)); err != nil {
		return err
	}
	c.locate(w)
	v := reflect.ValueOf(c).Elem()
	for _, f := range w.fields {
		if v.FieldByIndex(contextFields.index[f.name]).IsZero() {
			c.Zero = append(c.Zero, f.name)
		}
	}
	return nil
}

// names lists the fields that say something.
func (c *Context) names() (names []string) {
	v := reflect.ValueOf(c).Elem()
	for _, name := range contextFields.names {
		if !v.FieldByIndex(contextFields.index[name]).IsZero() || slices.Contains(c.Zero, name) {
			names = append(names, name)
		}
	}
	return names
}

// over is the context with those fields that it leaves open taken from another.
func (c *Context) over(base *Context) Context {
	out := *c
	v, b := reflect.ValueOf(&out).Elem(), reflect.ValueOf(base).Elem()
	for _, name := range contextFields.names {
		i := contextFields.index[name]
		if v.FieldByIndex(i).IsZero() && !slices.Contains(c.Zero, name) {
			v.FieldByIndex(i).Set(b.FieldByIndex(i))
		}
	}
	return out
}

// contextKind is the struct that a type of program has for its context.
type contextKind uint8

const (
	rawContext contextKind = iota
	xdpContext             // struct xdp_md
	skbContext             // struct __sk_buff
)

func contextOf(t ebpf.ProgramType) contextKind {
	switch t {
	case ebpf.XDP:
		return xdpContext
	case ebpf.SchedCLS, ebpf.SchedACT, ebpf.CGroupSKB, ebpf.SocketFilter, ebpf.LWTIn, ebpf.LWTOut, ebpf.LWTXmit, ebpf.LWTSeg6Local:
		return skbContext
	}
	return rawContext
}

// Sizes of the structs; the kernel takes one that is larger than its own as long as the rest is zero.
const (
	xdpSize = 24
	skbSize = 192
)

// A slot is where a field stands in a context struct (include/uapi/linux/bpf.h).
type slot struct {
	name         string
	offset, size int
}

var slots = map[contextKind][]slot{
	xdpContext: {{"ingress", 12, 4}, {"rx_queue", 16, 4}},
	skbContext: {
		{"mark", 8, 4}, {"priority", 32, 4}, {"ingress", 36, 4}, {"device", 40, 4}, {"cb", 48, 20},
		{"tstamp", 152, 8}, {"wire_len", 160, 4}, {"gso_segs", 164, 4}, {"gso_size", 176, 4},
	},
}

func slotOf(k contextKind, name string) (slot, bool) {
	i := slices.IndexFunc(slots[k], func(s slot) bool { return s.name == name })
	if i < 0 {
		return slot{}, false
	}
	return slots[k][i], true
}

// Encode is the struct that the kernel gets for a packet of so many bytes; nil where it needs none. Devices are found by index.
func (c *Context) Encode(t ebpf.ProgramType, size int, index func(string) (uint32, error)) ([]byte, error) {
	kind := contextOf(t)
	if kind == rawContext {
		for _, name := range c.names() {
			if name != "raw" {
				return nil, c.at(name).errorf("a program of type %s has no %s: give its context in raw bytes", t, name)
			}
		}
		return c.Raw, nil
	}
	names := c.names()
	if len(names) == 0 {
		return nil, nil
	}
	out := emptyContext(kind, size)
	for _, name := range names {
		if err := c.put(out, t, kind, name, index); err != nil {
			return nil, err
		}
	}
	switch {
	case kind == xdpContext:
		putUint(out[0:4], uint64(len(c.Meta)))
		putUint(out[4:8], uint64(len(c.Meta)+size))
	case c.Device == "" && c.Ingress != "":
		copy(out[40:44], out[36:40])
	}
	return out, nil
}

// emptyContext is the struct for a packet of so many bytes, without metadata. In struct xdp_md, data is where the packet starts
// behind the metadata and data_end where it ends; data_meta has to be 0.
func emptyContext(kind contextKind, size int) []byte {
	if kind == skbContext {
		return make([]byte, skbSize)
	}
	out := make([]byte, xdpSize)
	putUint(out[4:8], uint64(size))
	return out
}

// check returns an error if a field cannot be expected of a program of a type.
func (c *Context) check(t ebpf.ProgramType) error {
	kind := contextOf(t)
	for _, name := range c.names() {
		_, known := slotOf(kind, name)
		if name == "meta" && kind == xdpContext {
			known = true
		}
		if !known || name == "ingress" || name == "device" {
			return c.at(name).errorf("no %s comes out of a program of type %s", name, t)
		}
	}
	return nil
}

// compare says how fields of the context that came out differ, each on a line; nothing if they do not.
func (c *Context) compare(names []string, t ebpf.ProgramType, out *Outcome) string {
	var differences []string
	for _, name := range names {
		want, got := "", ""
		s, _ := slotOf(contextOf(t), name)
		switch name {
		case "meta":
			want, got = fmt.Sprintf("%x", []byte(c.Meta)), fmt.Sprintf("%x", out.Meta)
		case "cb":
			words := make([]uint32, len(c.CB))
			for i := range words {
				words[i] = uint32(getUint(out.Context[s.offset+4*i:][:4]))
			}
			want, got = fmt.Sprint(c.CB), fmt.Sprint(words)
		default:
			want, got = fmt.Sprint(c.number(name)), fmt.Sprint(getUint(out.Context[s.offset:s.offset+s.size]))
		}
		if want != got {
			differences = append(differences, fmt.Sprintf("context: want %s %s, got %s", name, want, got))
		}
	}
	return strings.Join(differences, "\n")
}

// number is the value of a field that is a plain number.
func (c *Context) number(name string) uint64 {
	return reflect.ValueOf(c).Elem().FieldByIndex(contextFields.index[name]).Uint()
}

func (c *Context) put(out []byte, t ebpf.ProgramType, kind contextKind, name string, index func(string) (uint32, error)) error {
	if name == "meta" && kind == xdpContext {
		if len(c.Meta)%4 != 0 || len(c.Meta) > 252 {
			return c.at(name).errorf("metadata is a multiple of 4 bytes, at most 252, not %d", len(c.Meta))
		}
		return nil
	}
	s, ok := slotOf(kind, name)
	if !ok {
		return c.at(name).errorf("the kernel takes no %s for a program of type %s", name, t)
	}
	switch name {
	case "ingress", "device":
		device := c.Ingress
		if name == "device" {
			device = c.Device
		}
		n, err := index(device)
		if err != nil {
			return c.at(name).errorf("%w", err)
		}
		binary.NativeEndian.PutUint32(out[s.offset:], n)
	case "cb":
		if len(c.CB) > 5 {
			return c.at(name).errorf("cb has 5 words, not %d", len(c.CB))
		}
		for i, word := range c.CB {
			binary.NativeEndian.PutUint32(out[s.offset+4*i:], word)
		}
	default:
		putUint(out[s.offset:s.offset+s.size], c.number(name))
	}
	return nil
}

// putUint writes an integer of the length of out in the machine's byte order.
func putUint(out []byte, n uint64) {
	switch len(out) {
	case 1:
		out[0] = byte(n)
	case 2:
		binary.NativeEndian.PutUint16(out, uint16(n))
	case 4:
		binary.NativeEndian.PutUint32(out, uint32(n))
	case 8:
		binary.NativeEndian.PutUint64(out, n)
	}
}

func getUint(in []byte) uint64 {
	switch len(in) {
	case 1:
		return uint64(in[0])
	case 2:
		return uint64(binary.NativeEndian.Uint16(in))
	case 4:
		return uint64(binary.NativeEndian.Uint32(in))
	case 8:
		return binary.NativeEndian.Uint64(in)
	}
	return 0
}
