package vector

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"

	"github.com/skbench/skbench/harness/vector/capture"
)

// captures reads single frames out of captures. One stays open where it was read last, so that frames in their order cost one
// reading of the file.
type captures struct {
	path   string
	reader *capture.Reader
	number int // of the frame read last
}

func (c *captures) close() {
	if c.reader != nil {
		c.reader.Close()
	}
	c.reader = nil
}

// frame reads the frame of that number, from 1 on.
func (c *captures) frame(path string, number int) ([]byte, error) {
	if c.reader == nil || c.path != path || c.number >= number {
		c.close()
		reader, err := openCapture(path)
		if err != nil {
			return nil, err
		}
		c.path, c.reader, c.number = path, reader, 0
	}
	for {
		frame, err := nextFrame(path, c.reader)
		if err == io.EOF {
			return nil, fmt.Errorf("%s has %d frames, and no frame %d", path, c.number, number)
		}
		if err != nil {
			return nil, err
		}
		if c.number = frame.Number; c.number == number {
			return bytes.Clone(frame.Data), whole(path, frame)
		}
	}
}

func openCapture(path string) (*capture.Reader, error) {
	reader, err := capture.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no capture %s", path)
	}
	if err != nil {
		return nil, fmt.Errorf("capture %s: %w", path, err)
	}
	return reader, nil
}

func nextFrame(path string, reader *capture.Reader) (capture.Frame, error) {
	frame, err := reader.Next()
	if err != nil && err != io.EOF {
		err = fmt.Errorf("capture %s: %w", path, err)
	}
	return frame, err
}

// whole refuses frames that were not captured to their end.
func whole(path string, f capture.Frame) error {
	if f.Length > len(f.Data) {
		return fmt.Errorf("capture %s: frame %d holds %d of its %d bytes: capture with a larger snap length", path, f.Number, len(f.Data), f.Length)
	}
	return nil
}

// frames gives a step the frames of the capture that it is for, one after the other in place of its packet until the next, and tells their numbers.
// An error is the last.
func (r *runner) frames(p *prepared) iter.Seq2[int, error] {
	wanted := p.step.Foreach
	path := r.suite.path(wanted.File)
	return func(yield func(int, error) bool) {
		fail := func(err error) { yield(0, p.step.at("foreach").errorf("%w", err)) }
		reader, err := openCapture(path)
		if err != nil {
			fail(err)
			return
		}
		defer reader.Close()
		for found := false; ; {
			frame, err := nextFrame(path, reader)
			switch {
			case err == io.EOF || wanted.Last > 0 && frame.Number > wanted.Last:
				if !found {
					fail(fmt.Errorf("capture %s has none of these frames", path))
				}
				return
			case err == nil && frame.Number < wanted.First:
				continue
			case err == nil:
				err = whole(path, frame)
			}
			if err != nil {
				fail(err)
				return
			}
			found = true
			p.in.take(frame.Data, contextOf(p.program.Type()))
			if !yield(frame.Number, nil) {
				return
			}
		}
	}
}

// take makes frame the packet, and has the context say how long it is.
func (in *Input) take(frame []byte, kind contextKind) {
	in.Packet = frame
	if kind == xdpContext && in.Context != nil {
		putUint(in.Context[4:8], uint64(len(in.Meta)+len(frame)))
	}
}

// foreach runs a step for every frame of a capture, up to the first that fails.
func (r *runner) foreach(p *prepared) (*Failure, error) {
	for number, err := range r.frames(p) {
		if err != nil {
			return nil, err
		}
		failure, err := r.once(p)
		if failure != nil {
			failure.Run = number
		}
		if failure != nil || err != nil {
			return failure, err
		}
	}
	return nil, nil
}
