package vector

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"

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

// foreach runs a step for every frame of a capture, up to the first that fails.
func (r *runner) foreach(p *prepared) (*Failure, error) {
	frames := p.step.Foreach
	path, at := r.suite.path(frames.File), p.step.at("foreach")
	reader, err := openCapture(path)
	if err != nil {
		return nil, at.errorf("%w", err)
	}
	defer reader.Close()
	run := 0
	for {
		frame, err := nextFrame(path, reader)
		if err == io.EOF || frames.Last > 0 && frame.Number > frames.Last {
			break
		}
		if err != nil {
			return nil, at.errorf("%w", err)
		}
		if frame.Number < frames.First {
			continue
		}
		if err := whole(path, frame); err != nil {
			return nil, at.errorf("%w", err)
		}
		run++
		p.in.Packet = frame.Data
		if contextOf(p.program.Type()) == xdpContext && p.in.Context != nil {
			putUint(p.in.Context[4:8], uint64(len(p.in.Meta)+len(frame.Data)))
		}
		failure, err := r.once(p)
		if failure != nil {
			failure.Run = frame.Number
		}
		if failure != nil || err != nil {
			return failure, err
		}
	}
	if run == 0 {
		return nil, at.errorf("capture %s has none of these frames", path)
	}
	return nil, nil
}
