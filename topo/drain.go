package topo

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// drainName is a device of the shore whose other end is there as well.
const drainName = "drain"

// drainType is the EtherType of what goes through it, one of those that IEEE 802 leaves to local experiments.
const drainType = 0x88b6

// longestWay is how many times a frame that was sent to an island can stand in a queue until the shore has it back: at its device,
// behind a redirection there, at the device that it leads to, and at the shore.
const longestWay = 4

// Drain returns when the kernel is done with all frames that the calling thread has injected into an island with traffic, and with those that
// came of them. The thread has to stay on its CPU from the first of them on, and is the only one that drains.
//
// Frames between veth devices wait in queues of the CPU that sends, which the kernel works off in their order. So a frame that is sent later and arrives
// tells that each before it is one queue further.
func (n *Network) Drain() error {
	shore := n.byName[ShoreName]
	end, err := shore.Device(drainName + "-end")
	if err != nil {
		return err
	}
	if n.drain < 0 {
		if n.drain, err = shore.listen(end, drainType); err != nil {
			return fmt.Errorf("topo: listening on %s: %w", end, err)
		}
	}
	frame := make([]byte, 60)
	copy(frame, end.MAC)
	frame[12], frame[13] = drainType>>8, drainType&0xff
	for range longestWay {
		if err := shore.Inject(drainName, frame); err != nil {
			return err
		}
		if err := await(n.drain); err != nil {
			return fmt.Errorf("topo: a frame was sent out of %s/%s and did not arrive at %s: %w", ShoreName, drainName, end, err)
		}
	}
	return nil
}

// await takes one frame from a socket that listen opened. A signal ends a call on a socket that has a timeout (signal(7)), and
// Go's scheduler sends them: then it is made again.
func await(fd int) error {
	for {
		if _, err := unix.Read(fd, make([]byte, ethernetHeader)); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
