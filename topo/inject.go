package topo

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Inject sends a frame, beginning with its Ethernet header, out of a device. It takes the way of any packet: past TC, where
// a program may drop it, then onto the wire.
func (m *Machine) Inject(dev string, frame []byte) error {
	d, err := m.Device(dev)
	if err != nil {
		return err
	}
	if len(frame) < ethernetHeader {
		return fmt.Errorf("topo: a frame of %d bytes cannot leave %s: it has no Ethernet header", len(frame), d)
	}
	fd, err := m.packetSocket()
	if err != nil {
		return fmt.Errorf("topo: opening a packet socket on %s: %w", m.name, err)
	}
	to := unix.SockaddrLinklayer{
		Ifindex:  d.Index,
		Protocol: binary.NativeEndian.Uint16(frame[12:]), // as it stands in the frame: in network byte order
	}
	switch err = unix.Sendto(fd, frame, 0, &to); {
	case err == nil, errors.Is(err, unix.ENOBUFS): // the latter: dropped on its way out
		return nil
	case errors.Is(err, unix.EMSGSIZE):
		return fmt.Errorf("topo: a frame of %d bytes cannot leave %s: the MTU is %d", len(frame), d, m.network.topology.mtu())
	default:
		return fmt.Errorf("topo: sending a frame out of %s: %w", d, err)
	}
}

// packetSocket is the machine's socket to send by. It receives nothing (protocol 0). Closing one takes the kernel some 10 ms
// (an RCU grace period), so it is kept.
func (m *Machine) packetSocket() (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.packets >= 0 {
		return m.packets, nil
	}
	err := m.Do(func() (err error) {
		m.packets, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		return err
	})
	return m.packets, err
}
