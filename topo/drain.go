package topo

import (
	"errors"
	"fmt"
	"time"

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
// came of them. The thread has to stay on its CPU from the first of them on.
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

// listen opens a packet socket for frames of one EtherType that a device receives. What TC drops does not reach it.
func (m *Machine) listen(d Device, etherType uint16) (fd int, err error) {
	err = m.Do(func() error {
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		patient := unix.NsecToTimeval(int64(10 * time.Second))
		protocol := etherType<<8 | etherType>>8 // in network byte order
		err := errors.Join(
			unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patient),
			unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: d.Index}),
		)
		if err != nil {
			unix.Close(fd)
		}
		return err
	})
	return fd, err
}

// Received are the frames of some EtherTypes that a machine's stack gets, whatever they are for: past XDP and past TC, unlike those of a Capture.
type Received struct {
	machine *Machine
	sockets map[uint16]int
}

// Receive makes ready for the frames of the EtherTypes that Expect names. Close ends it.
func (m *Machine) Receive() *Received { return &Received{m, map[uint16]int{}} }

// Expect has frames of an EtherType taken from now on. A frame with a length in its place is of EtherType 1 or 4 to the stack (ETH_P_802_3,
// ETH_P_802_2: net/ethernet/eth.c, eth_type_trans).
func (r *Received) Expect(frame []byte) error {
	if len(frame) < ethernetHeader+2 {
		return nil
	}
	kind := uint16(frame[12])<<8 | uint16(frame[13])
	if kind < 0x600 {
		kind = unix.ETH_P_802_2
		if frame[14] == 0xff && frame[15] == 0xff {
			kind = unix.ETH_P_802_3
		}
	}
	if _, ok := r.sockets[kind]; ok {
		return nil
	}
	fd, err := r.machine.listen(Device{}, kind)
	if err != nil {
		return fmt.Errorf("topo: listening on %s: %w", r.machine.name, err)
	}
	r.sockets[kind] = fd
	return nil
}

// Take returns the frames that came since the last time.
func (r *Received) Take() (frames [][]byte, err error) {
	for _, fd := range r.sockets {
		for {
			frame := make([]byte, 1<<16)
			n, _, err := unix.Recvfrom(fd, frame, unix.MSG_DONTWAIT)
			if errors.Is(err, unix.EAGAIN) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("topo: receiving on %s: %w", r.machine.name, err)
			}
			frames = append(frames, frame[:n])
		}
	}
	return frames, nil
}

// Close closes the sockets.
func (r *Received) Close() error {
	var errs []error
	for _, fd := range r.sockets {
		errs = append(errs, unix.Close(fd))
	}
	return errors.Join(errs...)
}
