package ebpf

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/topo"
)

// Events reads what the programs of several nodes report, from one ring buffer
// that they share, and observes it as hops.
type Events struct {
	Ring    *ebpf.Map // to load programs with
	reader  *ringbuf.Reader
	network *topo.Network
	observe func(harness.Hop)
	syncing sync.Mutex
	flushed chan struct{} // the reader came to the end of the ring after a Flush
	done    chan struct{}
	failed  error // why nothing is read any more; valid once done is closed
}

// eventBytes is the size of the ring buffer that all nodes of a lab share.
const eventBytes = 1 << 22

// NewEvents starts to read. The caller closes the Events after the programs.
func NewEvents(network *topo.Network, observe func(harness.Hop)) (*Events, error) {
	ring, err := bpf.NewEvents(eventBytes)
	if err != nil {
		return nil, err
	}
	reader, err := ringbuf.NewReader(ring)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the programs' events: %w", err), ring.Close())
	}
	e := &Events{
		Ring: ring, reader: reader, network: network, observe: observe,
		flushed: make(chan struct{}, 1), done: make(chan struct{}),
	}
	go e.read()
	return e, nil
}

// read observes events until the reader is closed, or gives what nobody can read.
func (e *Events) read() {
	defer close(e.done)
	var record ringbuf.Record
	for {
		err := e.reader.ReadInto(&record)
		if errors.Is(err, ringbuf.ErrFlushed) {
			select {
			case e.flushed <- struct{}{}:
			default: // the sync that asked has given up
			}
			continue
		}
		var event bpf.Event
		if err == nil {
			event, err = bpf.ReadEvent(record.RawSample)
		}
		if err != nil {
			e.failed = fmt.Errorf("read the programs' events: %w", err)
			return
		}
		e.observe(e.hop(event))
	}
}

func (e *Events) hop(event bpf.Event) harness.Hop {
	h := harness.Hop{Time: event.Time, At: event.Point.String(), Detail: event.Verdict.String(), Data: event.Data}
	if device, ok := e.network.Device(event.Device); ok {
		h.Machine, h.Device = device.Machine, device.Name
	}
	if event.Reason != bpf.NoDrop {
		h.Reason = event.Reason.String()
	}
	return h
}

// Sync returns once every event submitted before the call was observed.
func (e *Events) Sync(ctx context.Context) error {
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
	case <-e.done:
		return e.failed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends the reading.
func (e *Events) Close() error {
	err := e.reader.Close()
	<-e.done
	return errors.Join(err, e.Ring.Close())
}
