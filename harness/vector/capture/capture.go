// Package capture reads frames from pcap and pcapng files, one after the other: a capture may be larger than memory.
package capture

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// A Reader reads the frames of one capture. Only Ethernet is understood.
type Reader struct {
	in     *bufio.Reader
	file   io.Closer
	number int
	next   func() (Frame, error)
	order  binary.ByteOrder
	head   [16]byte // of the last record or block
	frame  []byte   // the last frame, reused
	block  []byte   // of pcapng, the body of the last block, reused

	ethernet []bool // of pcapng: for each interface of the section, whether it is one
}

// A Frame is what was captured of a frame.
type Frame struct {
	Number int    // from 1 on
	Data   []byte // from the Ethernet header on; it holds until the next frame is read
	Length int    // on the wire: more than there is where the capture cut it
}

// ErrNotCapture is the error for a file that is neither pcap nor pcapng.
var ErrNotCapture = errors.New("this is no pcap or pcapng file")

// maxFrame is the longest frame that is taken for one, in bytes: what libpcap takes at most.
const maxFrame = 262144

// maxBlock bounds what a block of pcapng may hold beside its frame.
const maxBlock = 16 << 20

// Open opens a capture. Close releases it.
func Open(path string) (*Reader, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	r, err := New(file)
	if err != nil {
		file.Close()
		return nil, err
	}
	r.file = file
	return r, nil
}

// New reads the head of a capture.
func New(in io.Reader) (*Reader, error) {
	r := &Reader{in: bufio.NewReaderSize(in, 1<<18)}
	magic, err := r.in.Peek(4)
	if err != nil {
		return nil, ErrNotCapture
	}
	if binary.LittleEndian.Uint32(magic) == sectionHeader {
		r.next = r.nextBlock
		return r, nil
	}
	return r, r.pcapHeader()
}

// Close closes the file.
func (r *Reader) Close() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}

// Next reads the next frame; io.EOF says that there is none. An error names the frame.
func (r *Reader) Next() (Frame, error) {
	frame, err := r.next()
	if err == io.EOF {
		return frame, err
	}
	r.number++
	frame.Number = r.number
	if err != nil {
		return frame, fmt.Errorf("frame %d: %w", r.number, err)
	}
	return frame, nil
}

// Magic numbers of pcap: times in microseconds, and in nanoseconds.
const (
	magicMicro = 0xa1b2c3d4
	magicNano  = 0xa1b23c4d
)

const ethernet = 1 // LINKTYPE_ETHERNET

// pcapHeader reads the header of a pcap file: magic, version, two words of no use, snap length, link type.
func (r *Reader) pcapHeader() error {
	header := make([]byte, 24)
	if _, err := io.ReadFull(r.in, header); err != nil {
		return ErrNotCapture
	}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		if magic := order.Uint32(header); magic == magicMicro || magic == magicNano {
			r.order = order
		}
	}
	if r.order == nil {
		return ErrNotCapture
	}
	if link := r.order.Uint32(header[20:]) & 0xffff; link != ethernet { // above stands the length of frame check sequences
		return fmt.Errorf("the capture is of link type %d: only Ethernet (1) is understood", link)
	}
	r.next = r.nextRecord
	return nil
}

// nextRecord reads one of pcap: seconds, their fraction, captured length, length.
func (r *Reader) nextRecord() (Frame, error) {
	if _, err := io.ReadFull(r.in, r.head[:]); err != nil {
		return Frame{}, cut(err)
	}
	return r.read(r.order.Uint32(r.head[8:]), r.order.Uint32(r.head[12:]))
}

// read reads the bytes of a frame.
func (r *Reader) read(captured, length uint32) (Frame, error) {
	if captured > maxFrame {
		return Frame{}, fmt.Errorf("it is said to be %d bytes long: the capture is damaged", captured)
	}
	if cap(r.frame) < int(captured) {
		r.frame = make([]byte, maxFrame)
	}
	r.frame = r.frame[:captured]
	if _, err := io.ReadFull(r.in, r.frame); err != nil {
		return Frame{}, errCut
	}
	return Frame{Data: r.frame, Length: int(length)}, nil
}

var errCut = errors.New("the capture ends within it")

// cut tells an end between frames from one within.
func cut(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errCut
	}
	return err
}
