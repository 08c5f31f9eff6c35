package topo

import (
	"context"
	"fmt"
)

// SetLink takes a device of the machine down or up, and returns when its peer has noticed. While it is down its routes,
// neighbours and IPv6 addresses are gone, as on any Linux machine; those of the topology, RouteAdd and NeighbourAdd are put
// back when it comes up.
func (m *Machine) SetLink(dev string, up bool) error {
	e, err := m.end(dev)
	if err != nil {
		return err
	}
	if err := e.set(up); err != nil {
		return fmt.Errorf("topo: %w", err)
	}
	return nil
}

// SetPort takes the switch port of a node or host down or up: the machine's eth0 loses its carrier, but keeps addresses and
// routes, as when a cable is pulled.
func (n *Network) SetPort(machine string, up bool) error {
	m, ok := n.Machine(machine)
	if !ok {
		return fmt.Errorf("topo: there is no machine %q", machine)
	}
	port := m.ends[0].peer
	if port.machine != n.fabric {
		return fmt.Errorf("topo: eth0 of %s is not plugged into the switch but into %s: use SetLink there", machine, port)
	}
	return n.fabric.SetLink(port.Name, up)
}

// set takes the end down or up, and waits until both ends are as they shall be.
func (e *end) set(up bool) error {
	m := e.machine
	m.mu.Lock()
	requests := []request{linkUp(e.Index, e.String(), up)}
	if up {
		requests = append(requests, m.configuration(e.Device)...)
	}
	err := m.rtnl.do(requests...)
	m.mu.Unlock()
	if err != nil {
		return err
	}

	e.down.Store(!up)
	if err := m.settle(context.Background(), func() (string, error) { return m.unready([]*end{e}) }); err != nil {
		return err
	}
	peer := e.peer.machine
	return peer.settle(context.Background(), func() (string, error) { return peer.unreadyLink([]*end{e.peer}) })
}
