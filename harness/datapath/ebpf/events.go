package ebpf

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/topo"
)

// events reads what the programs of all nodes report, from the one ring buffer
// that they share, and observes it as hops.
type events struct {
	ring    *ebpf.Map
	reader  *ringbuf.Reader
	network *topo.Network
	observe func(harness.Hop)
	syncing sync.Mutex
	flushed chan struct{} // the reader came to the end of the ring after a Flush
	done    chan struct{}
}

// eventBytes is the size of the ring buffer that all nodes of a lab share.
const eventBytes = 1 << 22

func newEvents(network *topo.Network, observe func(harness.Hop)) (*events, error) {
	ring, err := bpf.NewEvents(eventBytes)
	if err != nil {
		return nil, err
	}
	reader, err := ringbuf.NewReader(ring)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the programs' events: %w", err), ring.Close())
	}
	e := &events{
		ring: ring, reader: reader, network: network, observe: observe,
		flushed: make(chan struct{}, 1), done: make(chan struct{}),
	}
	go e.read()
	return e, nil
}

// read observes events until the reader is closed.
func (e *events) read() {
	defer close(e.done)
	var record ringbuf.Record
	for {
		switch err := e.reader.ReadInto(&record); {
		case errors.Is(err, ringbuf.ErrFlushed):
			select {
			case e.flushed <- struct{}{}:
			default: // the sync that asked has given up
			}
		case errors.Is(err, os.ErrClosed):
			return
		case err == nil:
			if event, err := bpf.ReadEvent(record.RawSample); err == nil {
				e.observe(e.hop(event))
			}
		}
	}
}

func (e *events) hop(event bpf.Event) harness.Hop {
	h := harness.Hop{Time: event.Time, At: event.Point.String(), Detail: event.Verdict.String(), Data: event.Data}
	if device, ok := e.network.Device(event.Device); ok {
		h.Machine, h.Device = device.Machine, device.Name
	}
	if event.Reason != bpf.NoDrop {
		h.Reason = event.Reason.String()
	}
	return h
}

// sync returns once every event submitted before the call was observed.
func (e *events) sync(ctx context.Context) error {
	e.syncing.Lock()
	defer e.syncing.Unlock()
	select {
	case <-e.flushed: // of a sync that gave up
	default:
	}
	if err := e.reader.Flush(); err != nil {
		return fmt.Errorf("read the programs' events: %w", err)
	}
	select {
	case <-e.flushed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (e *events) close() error {
	err := e.reader.Close()
	<-e.done
	return errors.Join(err, e.ring.Close())
}
