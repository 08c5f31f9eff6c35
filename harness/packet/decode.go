package packet

import "errors"

// Decode reads a frame. The packet is never nil: with an error, which says the
// header that does not hold up, it has the layers before that one and the rest
// as Raw. A frame that was cut short is no error as long as its headers are
// whole. The packet shares the memory of frame.
func Decode(frame []byte) (*Packet, error) {
	return &Packet{Data: frame}, errors.New("not decoded yet")
}
