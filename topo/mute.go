package topo

import (
	"context"
	"fmt"
)

// Mute makes pods, and hosts that are no routers, drop every packet that carries the cookie of a crafted packet at the start of its L4 payload, and
// ICMP errors about such packets, so that their kernels do not answer them (no RST, no echo reply, no ICMP error). Captures
// see them all the same. Packets without the cookie pass. It lasts until the network is closed.
func (n *Network) Mute() error {
	if err := n.mute(); err != nil {
		return fmt.Errorf("topo: muting: %w", err)
	}
	return nil
}

func (n *Network) mute() error {
	var objects muteObjects
	if err := loadMuteObjects(&objects, nil); err != nil {
		return err
	}
	defer objects.Close() // the filters hold the program
	return each(context.Background(), n.machines, func(m *Machine) error {
		if m.forwards {
			return nil
		}
		return filter{m.nic(), In, mutePriority, "mute"}.add(m.rtnl, objects.Mute)
	})
}
