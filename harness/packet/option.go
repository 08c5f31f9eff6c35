package packet

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// Option is an option of an IPv4 or TCP header. When expected, each option of
// the template has to be in the packet, in whatever order.
type Option struct {
	Kind uint8
	Data []byte // what follows kind and length; nothing for the one-byte kinds 0 and 1
}

// MSS is the TCP option for the maximum segment size in bytes.
func MSS(size uint16) Option { return Option{2, binary.BigEndian.AppendUint16(nil, size)} }

// WindowScale is the TCP option for the window's shift count.
func WindowScale(shift uint8) Option { return Option{3, []byte{shift}} }

// SACKPermitted is the TCP option that allows selective acknowledgements.
func SACKPermitted() Option { return Option{Kind: 4} }

// Timestamps is the TCP option for the sender's clock and the echo of the peer's.
func Timestamps(value, echo uint32) Option {
	return Option{8, binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, value), echo)}
}

// String returns kind and data, as in "2:05b4".
func (o Option) String() string {
	if len(o.Data) == 0 {
		return fmt.Sprint(o.Kind)
	}
	return fmt.Sprintf("%d:%s", o.Kind, hex.EncodeToString(o.Data))
}

// checkOptions returns an error if options are longer than a header has room for.
func checkOptions(options []Option) error {
	size := 0
	for _, o := range options {
		size++
		if o.Kind > 1 {
			size += 1 + len(o.Data)
		}
	}
	if size > 40 {
		return fmt.Errorf("its options are %d bytes long, at most 40 fit", size)
	}
	return nil
}

// appendOption appends an option that was read, unless it is the mark of the
// list's end, which is padding.
func appendOption(options []Option, kind uint8, data []byte) []Option {
	if kind == 0 {
		return options
	}
	return append(options, Option{kind, data})
}
