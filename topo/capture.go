package topo

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"
)

// A Capture sees every frame at every device of the network's machines, in both directions, where tcpdump would: on the
// way in after XDP and before TC, on the way out after TC. Frames of lo are left out, since every machine has its own lo
// with the same index, and so are the ports of the switch.
type Capture struct {
	network *Network
	tap     tapObjects
	reader  *ringbuf.Reader
	sockets []int
	deliver func(Frame)

	syncing chan struct{} // holds one token; who has it may flush the reader
	flushed chan struct{} // one for each flush, when all before it has been delivered
	done    chan struct{} // closed when nothing more will be delivered

	closing sync.Once
	closed  error
}

// allProtocols is ETH_P_ALL in network byte order.
const allProtocols = unix.ETH_P_ALL << 8

// Capture begins to capture. Frames are delivered one at a time from a single goroutine, those of one packet in the order
// of its way through the network; deliver may keep the frame's data.
func (n *Network) Capture(deliver func(Frame)) (*Capture, error) {
	c := &Capture{
		network: n,
		deliver: deliver,
		syncing: make(chan struct{}, 1),
		flushed: make(chan struct{}),
		done:    make(chan struct{}),
	}
	c.syncing <- struct{}{}
	if err := c.load(); err != nil {
		return nil, fmt.Errorf("topo: capturing: %w", err)
	}
	go c.read()
	if err := c.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("topo: capturing: %w", err), c.Close())
	}
	n.own(c)
	return c, nil
}

// load makes the program and its ring.
func (c *Capture) load() error {
	if err := loadTapObjects(&c.tap, nil); err != nil {
		return err
	}
	reader, err := ringbuf.NewReader(c.tap.Frames)
	if err != nil {
		return errors.Join(err, c.tap.Close())
	}
	c.reader = reader
	return nil
}

// open gives every machine a packet socket with the tap for its filter.
func (c *Capture) open() error {
	var mu sync.Mutex
	return each(context.Background(), c.network.machines, func(m *Machine) error {
		fd, err := c.socket(m)
		if err != nil {
			return fmt.Errorf("opening a packet socket on %s: %w", m.name, err)
		}
		mu.Lock()
		defer mu.Unlock()
		c.sockets = append(c.sockets, fd)
		return nil
	})
}

// socket opens a packet socket for all devices of a machine. It sees nothing before it has its filter, which lets nothing through.
func (c *Capture) socket(m *Machine) (fd int, err error) {
	err = m.Do(func() error {
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ATTACH_BPF, c.tap.Tap.FD())
		if err == nil {
			err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: allProtocols})
		}
		if err != nil {
			unix.Close(fd)
		}
		return err
	})
	return fd, err
}

// read delivers frames until the reader is closed.
func (c *Capture) read() {
	defer close(c.done)
	var record ringbuf.Record
	for {
		switch err := c.reader.ReadInto(&record); {
		case errors.Is(err, ringbuf.ErrFlushed):
			c.flushed <- struct{}{}
		case err != nil:
			return
		default:
			c.deliver(c.network.frame(record.RawSample))
		}
	}
}

// Sync returns when every frame that was seen before the call has been delivered. It must not be called by deliver.
func (c *Capture) Sync(ctx context.Context) error {
	select {
	case <-c.syncing:
	case <-c.done:
		return errCaptureClosed
	case <-ctx.Done():
		return fmt.Errorf("topo: waiting for captured frames: %w", context.Cause(ctx))
	}
	if err := c.reader.Flush(); err != nil {
		c.syncing <- struct{}{}
		return errCaptureClosed
	}
	synced := make(chan struct{})
	go func() { // outlives a caller who gives up: the next flush must not be taken for this one
		select {
		case <-c.flushed:
			close(synced)
		case <-c.done:
		}
		c.syncing <- struct{}{}
	}()
	select {
	case <-synced:
		return nil
	case <-c.done:
		return errCaptureClosed
	case <-ctx.Done():
		return fmt.Errorf("topo: waiting for captured frames: %w", context.Cause(ctx))
	}
}

var errCaptureClosed = errors.New("topo: the capture is closed")

// Lost tells how many frames were lost because deliver was too slow.
func (c *Capture) Lost() (frames uint64) {
	_ = c.tap.Lost.Get(&frames) // mapped memory: it cannot fail
	return frames
}

// Close ends the capture, after the frames seen so far have been delivered.
func (c *Capture) Close() error {
	c.closing.Do(func() {
		c.network.disown(c)
		closePacketSockets(c.sockets)
		_ = c.Sync(context.Background())
		c.closed = errors.Join(c.reader.Close(), c.tap.Close())
		<-c.done
	})
	return c.closed
}
