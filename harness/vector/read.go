package vector

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

// reader is a type that is written in a form of its own.
type reader interface {
	read(*written) error
}

// read sets a Go value to what is written, by the `yaml` tags of its fields. Every name has to be one that the type knows.
func read(w *written, into any) error { return readValue(w, reflect.ValueOf(into).Elem()) }

func readValue(w *written, v reflect.Value) error {
	if r, ok := v.Addr().Interface().(reader); ok {
		return r.read(w)
	}
	switch into := v.Addr().Interface().(type) {
	case *netip.Addr:
		return readText(w, "an address", netip.ParseAddr, into)
	case *netip.Prefix:
		return readText(w, "a prefix", netip.ParsePrefix, into)
	case *net.HardwareAddr:
		return readText(w, "a MAC", parseMAC, into)
	}
	switch v.Kind() {
	case reflect.Interface: // a value that only the map it is for can understand
		v.Set(reflect.ValueOf(w))
		return nil
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return readValue(w, v.Elem())
	case reflect.Struct:
		return readStruct(w, v)
	case reflect.Map:
		return readMap(w, v)
	case reflect.Slice:
		return readList(w, v)
	case reflect.String:
		text, err := w.scalar("text")
		v.SetString(text)
		return err
	case reflect.Bool:
		b, err := w.bool()
		v.SetBool(b)
		return err
	case reflect.Int:
		n, err := w.integer(math.MaxInt32)
		v.SetInt(int64(n))
		return err
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, err := w.integer(uint64(1)<<v.Type().Bits() - 1)
		v.SetUint(n)
		return err
	}
	panic(fmt.Sprintf("vector: a %s cannot be written", v.Type()))
}

func readStruct(w *written, v reflect.Value) error {
	if err := w.expect(mapping); err != nil {
		return err
	}
	if l, ok := v.Addr().Interface().(interface{ locate(*written) }); ok {
		l.locate(w)
	}
	known := structOf(v.Type())
	for _, f := range w.fields {
		i := known.index[f.name]
		if i == nil {
			return f.at.errorf("%s", unknown("field", f.name, known.names))
		}
		if err := readValue(f.value, v.FieldByIndex(i)); err != nil {
			return err
		}
	}
	return nil
}

// located is embedded in what errors are about later than when it is read.
type located struct{ written *written }

func (l *located) locate(w *written) { l.written = w }

// at is where a field stands or, if it was not written, what it is a field of.
func (l *located) at(name string) place {
	switch {
	case l.written == nil:
		return place{}
	case l.written.get(name) != nil:
		return l.written.get(name).at
	}
	return l.written.at
}

func readMap(w *written, v reflect.Value) error {
	if err := w.expect(mapping); err != nil {
		return err
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(w.fields)))
	for _, f := range w.fields {
		key := reflect.New(v.Type().Key()).Elem()
		if err := readValue(&written{kind: scalar, text: f.name, at: f.at}, key); err != nil {
			return err
		}
		value := reflect.New(v.Type().Elem()).Elem()
		if err := readValue(f.value, value); err != nil {
			return err
		}
		v.SetMapIndex(key, value)
	}
	return nil
}

// readList reads a list; a single value stands for a list of one.
func readList(w *written, v reflect.Value) error {
	if w.kind == scalar && v.Type().Elem().Kind() != reflect.Struct || w.kind == scalar && isTextual(v.Type().Elem()) {
		w = &written{kind: list, items: []*written{w}, at: w.at}
	}
	if err := w.expect(list); err != nil {
		return err
	}
	v.Set(reflect.MakeSlice(v.Type(), len(w.items), len(w.items)))
	for i, item := range w.items {
		if err := readValue(item, v.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

// isTextual tells the struct types that are written as text.
func isTextual(t reflect.Type) bool {
	return t == reflect.TypeFor[netip.Addr]() || t == reflect.TypeFor[netip.Prefix]()
}

// structType is what is known of a struct type: its fields by the names they are written under, in their order.
type structType struct {
	index map[string][]int
	names []string
}

var structTypes sync.Map // reflect.Type → *structType

func structOf(t reflect.Type) *structType {
	if known, ok := structTypes.Load(t); ok {
		return known.(*structType)
	}
	s := &structType{index: map[string][]int{}}
	for _, f := range reflect.VisibleFields(t) {
		if tag := f.Tag.Get("yaml"); tag != "" {
			s.index[tag] = f.Index
			s.names = append(s.names, tag)
		}
	}
	structTypes.Store(t, s)
	return s
}

// expect returns an error unless the value is of a kind.
func (w *written) expect(k kind) error {
	if w.kind != k {
		return w.at.errorf("%s belongs here, not %s", k, w)
	}
	return nil
}

// String says a value in an error.
func (w *written) String() string {
	if w.kind == scalar {
		return strconv.Quote(w.text)
	}
	return w.kind.String()
}

// scalar returns the text of a single value.
func (w *written) scalar(what string) (string, error) {
	if w.kind != scalar {
		return "", w.at.errorf("%s belongs here, not %s", what, w)
	}
	return w.text, nil
}

func (w *written) bool() (bool, error) {
	if w.kind == scalar && !w.quoted {
		switch w.text {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
	}
	return false, w.at.errorf("true or false belongs here, not %s", w)
}

// integer returns a whole number from 0 to most.
func (w *written) integer(most uint64) (uint64, error) {
	if w.kind != scalar {
		return 0, w.at.errorf("a number belongs here, not %s", w)
	}
	n, err := parseInteger(w.text)
	if err != nil {
		return 0, w.at.errorf("%w", err)
	}
	if n > most {
		return 0, w.at.errorf("%s is too large: at most %d fits", w.text, most)
	}
	return n, nil
}

// parseInteger reads decimal, 0x, 0b and 0o numbers, with underscores between digits if need be.
func parseInteger(text string) (uint64, error) {
	if len(text) > 1 && text[0] == '0' && unicode.IsDigit(rune(text[1])) {
		return 0, fmt.Errorf("%q starts with a zero: write 0o for octal, or leave it away", text)
	}
	n, err := strconv.ParseUint(text, 0, 64)
	if err != nil && strings.HasPrefix(text, "-") {
		return 0, fmt.Errorf("%s is too small: at least 0 fits", text)
	}
	if err != nil {
		return 0, fmt.Errorf("a number belongs here, not %q", text)
	}
	return n, nil
}

// oneOf returns the field of a mapping that has just one, of those names.
func (w *written) oneOf(what string, names ...string) (field, error) {
	if err := w.expect(mapping); err != nil {
		return field{}, err
	}
	if len(w.fields) != 1 {
		return field{}, w.at.errorf("%s is one of %s", what, strings.Join(names, ", "))
	}
	f := w.fields[0]
	if !slices.Contains(names, f.name) {
		return f, f.at.errorf("%s", unknown("form of "+what, f.name, names))
	}
	return f, nil
}

// bytes returns the bytes of a text in hex or base64.
func (w *written) bytes(form string) ([]byte, error) {
	text, err := w.scalar("bytes in " + form)
	if err != nil {
		return nil, err
	}
	compact := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || form == "hex" && (r == ':' || r == '_') {
			return -1
		}
		return r
	}, text)
	decode := base64.StdEncoding.DecodeString
	if form == "hex" {
		compact = strings.TrimPrefix(compact, "0x")
		decode = hex.DecodeString
	}
	b, err := decode(compact)
	if err != nil {
		return nil, w.at.errorf("this is not %s: %w", form, err)
	}
	return b, nil
}
