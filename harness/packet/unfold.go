package packet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"slices"
)

// A header is one layer of a template in the place where it belongs.
type header struct {
	layer  Template
	zero   Zero   // the fields that are zero and mean it
	quotes int    // how many ICMP errors it is quoted in
	cookie uint64 // to be put at the start of the payload, unless 0
}

// zeroed reports whether the template says that field is zero.
func (h *header) zeroed(field string) bool { return slices.Contains(h.zero, field) }

// anyIP is the IP header that is implied where nothing tells its family yet.
type anyIP struct{}

func (anyIP) template() {}

func (anyIP) String() string { return "IP" }

// invalid is a template that cannot be, kept until someone uses it.
type invalid struct{ err error }

func (invalid) template() {}

func (i invalid) String() string { return i.err.Error() }

// unfold lists the layers of t, outermost first, those that are implied included.
func unfold(t Template) ([]header, error) {
	var u unfolding
	if err := u.add(t); err != nil {
		return nil, err
	}
	return u.headers, nil
}

type unfolding struct {
	headers []header
	named   int // index of the layer that the template named last
	quotes  int // how many ICMP errors the next layer is quoted in
}

func (u *unfolding) add(t Template) error {
	switch t := t.(type) {
	case nil:
		return errors.New("a layer is nil")
	case invalid:
		return t.err
	case Layers:
		for _, l := range t {
			if err := u.add(l); err != nil {
				return err
			}
		}
		return nil
	case Zero:
		return u.markZero(t)
	}
	if reflect.TypeOf(t).Kind() == reflect.Pointer {
		return fmt.Errorf("a layer is a %T: give the value, not a pointer", t)
	}
	return u.push(t)
}

// push appends t after the layers that it implies, and before those it quotes.
func (u *unfolding) push(t Template) error {
	if err := u.imply(t); err != nil {
		return err
	}
	u.named = len(u.headers)
	u.headers = append(u.headers, header{layer: t, quotes: u.quotes})

	quote := embedded(t)
	if quote == nil {
		return nil
	}
	named := u.named
	u.quotes++
	err := u.add(quote)
	u.named = named
	return err
}

// imply appends what has to stand between the last layer and t.
func (u *unfolding) imply(t Template) error {
	last := u.last()
	if last == nil && u.startsWith(t) || last != nil && carries(last, t) {
		return nil
	}
	implied := carrierOf(t)
	if implied == nil || u.imply(implied) != nil {
		return u.misplaced(t)
	}
	u.headers = append(u.headers, header{layer: implied, quotes: u.quotes})
	return nil
}

// startsWith reports whether a frame or, within a quote, a quote may start with t.
func (u *unfolding) startsWith(t Template) bool {
	if u.quotes > 0 {
		return isIP(t) || isRaw(t)
	}
	return isEthernet(t) || isRaw(t)
}

// last returns the last layer of the frame or, within a quote, of the quote.
func (u *unfolding) last() Template {
	if n := len(u.headers); n > 0 && u.headers[n-1].quotes == u.quotes {
		return u.headers[n-1].layer
	}
	return nil
}

func (u *unfolding) misplaced(t Template) error {
	outer := u.headers[len(u.headers)-1].layer
	if isRaw(t) {
		return fmt.Errorf("%s cannot carry Raw: bytes that it carries are its Payload", nameOf(outer))
	}
	return fmt.Errorf("%s cannot carry %s", nameOf(outer), nameOf(t))
}

func (u *unfolding) markZero(fields Zero) error {
	if len(u.headers) == 0 {
		return fmt.Errorf("there is no layer before %s", fields)
	}
	h := &u.headers[u.named]
	for _, field := range fields {
		if err := canBeZero(h.layer, field); err != nil {
			return fmt.Errorf("a Zero names %s.%s, %w", nameOf(h.layer), field, err)
		}
	}
	h.zero = append(h.zero, fields...)
	return nil
}

func canBeZero(t Template, field string) error {
	layer := reflect.ValueOf(t)
	if layer.Kind() != reflect.Struct || !layer.FieldByName(field).IsValid() {
		return errors.New("and there is no such field")
	}
	value := layer.FieldByName(field)
	switch value.Interface().(type) {
	case netip.Addr, netip.AddrPort, net.HardwareAddr, Template:
		return errors.New("and that field has no zero")
	}
	if !value.IsZero() {
		return fmt.Errorf("which is %v", value)
	}
	return nil
}
