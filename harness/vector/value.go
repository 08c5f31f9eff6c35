package vector

import (
	"encoding/hex"
	"fmt"
	"maps"
	"net"
	"reflect"
	"slices"
	"strconv"
)

// Fields are a struct, or the members of a union that are meant, in a value given by a program.
type Fields = map[string]any

// toWritten brings a value that a program gave into the form of one that was read. It may be a number, a bool, a text, a
// []byte (taken as it is), a net.HardwareAddr, anything that says itself as text such as netip.Addr, or a slice or map of those.
func toWritten(value any) (*written, error) {
	switch v := value.(type) {
	case nil:
		return &written{}, nil
	case *written:
		return v, nil
	case net.HardwareAddr:
		return &written{kind: scalar, text: v.String()}, nil
	case []byte:
		bytes := &written{kind: scalar, text: hex.EncodeToString(v)}
		return &written{kind: mapping, fields: []field{{name: "hex", value: bytes}}}, nil
	}
	v := reflect.ValueOf(value)
	if v.CanInt() {
		return &written{kind: scalar, text: strconv.FormatInt(v.Int(), 10)}, nil
	}
	if v.CanUint() {
		return &written{kind: scalar, text: strconv.FormatUint(v.Uint(), 10)}, nil
	}
	if text, ok := value.(fmt.Stringer); ok {
		return &written{kind: scalar, text: text.String()}, nil
	}
	switch v.Kind() {
	case reflect.String:
		return &written{kind: scalar, text: v.String()}, nil
	case reflect.Bool:
		return &written{kind: scalar, text: strconv.FormatBool(v.Bool())}, nil
	case reflect.Slice, reflect.Array:
		w := &written{kind: list}
		for i := range v.Len() {
			item, err := toWritten(v.Index(i).Interface())
			if err != nil {
				return nil, err
			}
			w.items = append(w.items, item)
		}
		return w, nil
	case reflect.Map:
		fields, ok := value.(Fields)
		if !ok {
			break
		}
		w := &written{kind: mapping}
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			part, err := toWritten(fields[name])
			if err != nil {
				return nil, err
			}
			w.fields = append(w.fields, field{name: name, value: part})
		}
		return w, nil
	}
	return nil, &InputError{Text: fmt.Sprintf("a %T is no value for a map or constant", value)}
}
