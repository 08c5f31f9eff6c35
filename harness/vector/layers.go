package vector

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/skbench/skbench/harness/packet"
)

// layerTypes are the layers of package packet by the names they are written under. Their fields are written in lower case,
// words joined by underscores: HopLimit is hop_limit.
var layerTypes = map[string]reflect.Type{
	"ethernet":       reflect.TypeFor[packet.Ethernet](),
	"arp":            reflect.TypeFor[packet.ARP](),
	"ipv4":           reflect.TypeFor[packet.IPv4](),
	"ipv6":           reflect.TypeFor[packet.IPv6](),
	"ipv6_extension": reflect.TypeFor[packet.IPv6Extension](),
	"ipv6_fragment":  reflect.TypeFor[packet.IPv6Fragment](),
	"tcp":            reflect.TypeFor[packet.TCP](),
	"udp":            reflect.TypeFor[packet.UDP](),
	"echo":           reflect.TypeFor[packet.Echo](),
	"icmp":           reflect.TypeFor[packet.ICMP](),
	"icmpv6":         reflect.TypeFor[packet.ICMPv6](),
	"vxlan":          reflect.TypeFor[packet.VXLAN](),
	"raw":            reflect.TypeFor[packet.Raw](),
}

var layerNames = slices.Sorted(maps.Keys(layerTypes))

// readLayer reads one layer. A field that is written and zero means zero: packet.Zero follows the layer.
func readLayer(f field) ([]packet.Template, error) {
	t, ok := layerTypes[f.name]
	if !ok {
		return nil, f.at.errorf("%s", unknown("layer", f.name, layerNames))
	}
	layer := reflect.New(t).Elem()
	if t.Kind() == reflect.Slice {
		err := readLayerValue(f.value, layer)
		return []packet.Template{layer.Interface().(packet.Template)}, err
	}
	fields := f.value.fields
	if f.value.kind != null { // "tcp:" alone names the layer and no field
		if err := f.value.expect(mapping); err != nil {
			return nil, err
		}
	}
	var zero packet.Zero
	for _, given := range fields {
		name, i := layerField(t, given.name)
		if i < 0 {
			return nil, given.at.errorf("%s", unknown("field of "+f.name, given.name, layerFields(t)))
		}
		if err := readLayerValue(given.value, layer.Field(i)); err != nil {
			return nil, err
		}
		if layer.Field(i).IsZero() && canMeanZero(layer.Field(i)) {
			zero = append(zero, name)
		}
	}
	template := []packet.Template{layer.Interface().(packet.Template)}
	if zero != nil {
		template = append(template, zero)
	}
	return template, nil
}

// canMeanZero tells whether packet.Zero may name a field of that type.
func canMeanZero(v reflect.Value) bool {
	switch v.Interface().(type) {
	case netip.Addr, netip.AddrPort, net.HardwareAddr, packet.Template:
		return false
	}
	return v.Kind() != reflect.Interface
}

// layerField returns the Go name and the index of a field by its written name, -1 if there is none.
func layerField(t reflect.Type, written string) (string, int) {
	for i := range t.NumField() {
		if name := t.Field(i).Name; snake(name) == written {
			return name, i
		}
	}
	return "", -1
}

func layerFields(t reflect.Type) (names []string) {
	for i := range t.NumField() {
		names = append(names, snake(t.Field(i).Name))
	}
	return names
}

// snake is a Go name as it is written in a suite: FragOffset is frag_offset, SenderMAC sender_mac.
func snake(name string) string {
	var out strings.Builder
	letters := []rune(name)
	for i, c := range letters {
		starts := i > 0 && unicode.IsUpper(c) &&
			(unicode.IsLower(letters[i-1]) || i+1 < len(letters) && unicode.IsLower(letters[i+1]))
		if starts {
			out.WriteByte('_')
		}
		out.WriteRune(unicode.ToLower(c))
	}
	return out.String()
}

// readLayerValue reads the value of a field, by its type.
func readLayerValue(w *written, v reflect.Value) error {
	switch into := v.Addr().Interface().(type) {
	case *netip.Addr:
		return readText(w, "an address", netip.ParseAddr, into)
	case *netip.AddrPort:
		return readText(w, "an address and port", parseEnd, into)
	case *net.HardwareAddr:
		return readText(w, "a MAC", parseMAC, into)
	case *packet.Flags:
		return readText(w, "TCP flags", parseFlags, into)
	case *packet.Raw:
		b, err := readBytes(w)
		*into = b
		return err
	case *[]byte:
		b, err := readBytes(w)
		*into = b
		return err
	case *[]packet.Option:
		return readOptions(w, into)
	case *packet.Template:
		layers, err := readLayers(w)
		*into = layers
		return err
	}
	if v.Kind() == reflect.Bool {
		b, err := w.bool()
		v.SetBool(b)
		return err
	}
	return readNumber(w, v)
}

// readText reads a value that has a text of its own.
func readText[T any](w *written, what string, parse func(string) (T, error), into *T) error {
	text, err := w.scalar(what)
	if err != nil {
		return err
	}
	*into, err = parse(text)
	if errors.Is(err, errPortTooLarge) {
		return w.at.errorf("%w", err)
	}
	if err != nil {
		return w.at.errorf("%s belongs here, not %q", what, text)
	}
	return nil
}

// parseEnd reads "172.16.0.1:80", "[fd00::1]:80", an address alone, or a port alone.
func parseEnd(text string) (netip.AddrPort, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return netip.AddrPortFrom(addr, 0), nil
	}
	if port, err := parseInteger(strings.TrimPrefix(text, ":")); err == nil && port <= math.MaxUint16 {
		return netip.AddrPortFrom(netip.Addr{}, uint16(port)), nil
	}
	if inside, port, ok := strings.Cut(strings.TrimPrefix(text, "["), "]:"); ok { // IPv4 too: "[$address]:80" is of either family
		text = net.JoinHostPort(inside, port)
	}
	end, err := netip.ParseAddrPort(text)
	_, port, notBoth := net.SplitHostPort(text)
	if notBoth != nil {
		port = text
	}
	if number, notNumber := parseInteger(port); err != nil && notNumber == nil && number > math.MaxUint16 {
		err = fmt.Errorf("port %d %w", number, errPortTooLarge)
	}
	return end, err
}

var errPortTooLarge = errors.New("is too large: at most 65535 fits")

func parseMAC(text string) (net.HardwareAddr, error) {
	mac, err := net.ParseMAC(text)
	if err == nil && len(mac) != 6 {
		err = fmt.Errorf("a MAC has 6 bytes, not %d", len(mac))
	}
	return mac, err
}

// parseFlags reads "SYN|ACK"; "none" is no flag.
func parseFlags(text string) (packet.Flags, error) {
	var flags packet.Flags
	if text == "none" {
		return 0, nil
	}
	for _, name := range strings.Split(text, "|") {
		flag, ok := names[packet.Flags](9)[strings.TrimSpace(name)]
		if !ok {
			return 0, fmt.Errorf("there is no TCP flag %q", name)
		}
		flags |= packet.Flags(flag)
	}
	return flags, nil
}

// readNumber reads a number, or the name that the field's type has for it.
func readNumber(w *written, v reflect.Value) error {
	if w.kind == scalar && !isDigit(w.text) {
		known := namesOf(v.Interface())
		n, ok := known[strings.ReplaceAll(w.text, "_", " ")]
		if !ok && known != nil {
			return w.at.errorf("%s", unknown("value", w.text, slices.Sorted(maps.Keys(known))))
		}
		if ok {
			v.SetUint(n)
			return nil
		}
	}
	n, err := w.integer(uint64(1)<<v.Type().Bits() - 1)
	v.SetUint(n)
	return err
}

func isDigit(text string) bool {
	return text != "" && text[0] >= '0' && text[0] <= '9' || strings.HasPrefix(text, "-")
}

// namesOf are the names that values of a type go by; nil if they are plain numbers.
func namesOf(value any) map[string]uint64 {
	switch value.(type) {
	case packet.EtherType:
		return map[string]uint64{
			"IPv4": uint64(packet.EtherTypeIPv4), "IPv6": uint64(packet.EtherTypeIPv6), "ARP": uint64(packet.EtherTypeARP),
		}
	case packet.ARPOp:
		return map[string]uint64{"request": uint64(packet.ARPRequest), "reply": uint64(packet.ARPReply)}
	case packet.Protocol:
		return protocolNames()
	case packet.ICMPType:
		return icmpNames()
	case packet.ICMPv6Type:
		return icmpv6Names()
	}
	return nil
}

var (
	protocolNames = sync.OnceValue(func() map[string]uint64 { return everyName(func(n uint64) fmt.Stringer { return packet.Protocol(n) }) })
	icmpNames     = sync.OnceValue(func() map[string]uint64 { return everyName(func(n uint64) fmt.Stringer { return packet.ICMPType(n) }) })
	icmpv6Names   = sync.OnceValue(func() map[string]uint64 {
		return everyName(func(n uint64) fmt.Stringer { return packet.ICMPv6Type(n) })
	})
)

// everyName lists the values of one byte that say a word.
func everyName(value func(uint64) fmt.Stringer) map[string]uint64 {
	known := map[string]uint64{}
	for n := range uint64(256) {
		if name := value(n).String(); !isDigit(name) {
			known[name] = n
		}
	}
	return known
}

// names are the names of single bits.
func names[T interface {
	~uint16
	fmt.Stringer
}](bits int) map[string]uint64 {
	known := map[string]uint64{}
	for i := range bits {
		known[T(1<<i).String()] = 1 << i
	}
	return known
}

// readBytes reads bytes: a text as it stands, or a mapping that says its form: hex, base64, or so many zeros.
func readBytes(w *written) ([]byte, error) {
	if w.kind == scalar {
		return []byte(w.text), nil
	}
	f, err := w.oneOf("bytes", "hex", "base64", "zeros")
	if err != nil {
		return nil, err
	}
	if f.name == "zeros" {
		n, err := f.value.integer(math.MaxUint16)
		return make([]byte, n), err
	}
	return f.value.bytes(f.name)
}

// readOptions reads a list of {kind, data}.
func readOptions(w *written, into *[]packet.Option) error {
	if err := w.expect(list); err != nil {
		return err
	}
	for _, item := range w.items {
		var option struct {
			Kind uint8 `yaml:"kind"`
			Data Bytes `yaml:"data"`
		}
		if err := read(item, &option); err != nil {
			return err
		}
		*into = append(*into, packet.Option{Kind: option.Kind, Data: option.Data})
	}
	return nil
}

// readLayers reads layers, outermost first: a mapping of one of each, or a list of such mappings.
func readLayers(w *written) (packet.Layers, error) {
	parts := []*written{w}
	if w.kind == list {
		parts = w.items
	}
	layers := packet.Layers{}
	for _, part := range parts {
		if err := part.expect(mapping); err != nil {
			return nil, err
		}
		for _, f := range part.fields {
			layer, err := readLayer(f)
			if err != nil {
				return nil, err
			}
			layers = append(layers, layer...)
		}
	}
	return layers, nil
}

// Bytes are written as text, {hex: …}, {base64: …} or {zeros: N}.
type Bytes []byte

func (b *Bytes) read(w *written) (err error) {
	*b, err = readBytes(w)
	return err
}
