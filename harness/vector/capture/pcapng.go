package capture

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Block types of pcapng (draft-ietf-opsawg-pcapng, section 4).
const (
	sectionHeader  = 0x0a0d0d0a
	interfaceBlock = 1
	packetBlock    = 2 // obsolete
	simplePacket   = 3
	enhancedPacket = 6

	byteOrderMagic = 0x1a2b3c4d
)

// nextBlock reads blocks until one holds a frame.
func (r *Reader) nextBlock() (Frame, error) {
	for {
		kind, body, err := r.readBlock()
		if err != nil {
			return Frame{}, err
		}
		switch kind {
		case interfaceBlock:
			if len(body) < 8 {
				return Frame{}, errCut
			}
			r.ethernet = append(r.ethernet, r.order.Uint16(body) == ethernet)
		case enhancedPacket: // interface, time in two words, captured length, length
			if len(body) < 20 {
				return Frame{}, errCut
			}
			return r.frameOf(r.order.Uint32(body), body[20:], r.order.Uint32(body[12:]), r.order.Uint32(body[16:]))
		case packetBlock: // interface and drops, 2 bytes each, time in two words, captured length, length
			if len(body) < 20 {
				return Frame{}, errCut
			}
			return r.frameOf(uint32(r.order.Uint16(body)), body[20:], r.order.Uint32(body[12:]), r.order.Uint32(body[16:]))
		case simplePacket: // length; as much as fits into the block was captured
			if len(body) < 4 {
				return Frame{}, errCut
			}
			length := r.order.Uint32(body)
			return r.frameOf(0, body[4:], min(length, uint32(len(body)-4)), length)
		}
	}
}

func (r *Reader) frameOf(device uint32, data []byte, captured, length uint32) (Frame, error) {
	if int64(device) >= int64(len(r.ethernet)) {
		return Frame{}, fmt.Errorf("it is of interface %d, which the capture does not describe", device)
	}
	if !r.ethernet[device] {
		return Frame{}, fmt.Errorf("its interface is no Ethernet, which alone is understood")
	}
	if int64(captured) > int64(len(data)) {
		return Frame{}, errCut
	}
	return Frame{Data: data[:captured], Length: int(length)}, nil
}

// readBlock reads a block: type, length, body, length again. A section header tells the byte order of all that follows.
func (r *Reader) readBlock() (kind uint32, body []byte, err error) {
	head := r.head[:12]
	if _, err := io.ReadFull(r.in, head[:8]); err != nil {
		return 0, nil, cut(err)
	}
	rest := 8
	if binary.LittleEndian.Uint32(head) == sectionHeader {
		if _, err := io.ReadFull(r.in, head[8:]); err != nil {
			return 0, nil, errCut
		}
		rest = 12
		r.ethernet = nil
		switch uint32(byteOrderMagic) {
		case binary.LittleEndian.Uint32(head[8:]):
			r.order = binary.LittleEndian
		case binary.BigEndian.Uint32(head[8:]):
			r.order = binary.BigEndian
		default:
			return 0, nil, ErrNotCapture
		}
	}
	length := r.order.Uint32(head[4:])
	if length%4 != 0 || length < uint32(rest)+4 || length > maxBlock {
		return 0, nil, fmt.Errorf("a block is said to be %d bytes long: the capture is damaged", length)
	}
	size := int(length) - rest
	if cap(r.block) < size {
		r.block = make([]byte, size)
	}
	r.block = r.block[:size]
	if _, err := io.ReadFull(r.in, r.block); err != nil {
		return 0, nil, errCut
	}
	return r.order.Uint32(head), r.block[:size-4], nil
}
