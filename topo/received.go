package topo

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

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

// listen opens a packet socket for frames of one EtherType that a device receives. What TC drops does not reach it.
func (m *Machine) listen(d Device, etherType uint16) (fd int, err error) {
	err = m.Do(func() error {
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		patient := unix.NsecToTimeval(int64(patience))
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
