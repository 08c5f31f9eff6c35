package topo

import (
	"errors"
	"io"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// own makes c go down with the network.
func (n *Network) own(c io.Closer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.owned[c] = struct{}{}
}

// disown is called by c when it is closed before the network.
func (n *Network) disown(c io.Closer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.owned, c)
}

// Close takes the network down: captures, watches and attachments, then all machines, where no process may run any more.
// Programs and maps of the caller stay. The kernel removes a machine when its last process has ended, too.
func (n *Network) Close() error {
	n.mu.Lock()
	owned := slices.Collect(maps.Keys(n.owned))
	n.mu.Unlock()

	var errs []error
	for _, c := range owned {
		errs = append(errs, c.Close())
	}
	var packets []int
	for _, m := range n.all() {
		packets = append(packets, m.close())
	}
	packets = append(packets, n.drain)
	n.drain = -1
	closePacketSockets(packets)
	errs = append(errs, n.cgroups.close(), n.passing.Close())
	return errors.Join(errs...)
}

// close lets go of the machine, but for its packet socket, which it returns.
func (m *Machine) close() (packets int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rtnl.close()
	if m.ns.IsOpen() {
		m.ns.Close()
	}
	packets, m.packets = m.packets, -1
	return packets
}

// closePacketSockets closes many side by side: each waits for an RCU grace period, and they can share it.
func closePacketSockets(fds []int) {
	var group errgroup.Group
	group.SetLimit(128)
	for _, fd := range fds {
		if fd >= 0 {
			group.Go(func() error { return unix.Close(fd) })
		}
	}
	_ = group.Wait()
}
