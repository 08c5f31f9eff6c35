package topo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// loopback is the index of lo in every namespace (include/net/net_namespace.h, LOOPBACK_IFINDEX).
const loopback = 1

// Up makes a topology real: every machine with its devices, addresses and routes, ready to send and receive. When it
// fails, or ctx ends, nothing of it is left.
func Up(ctx context.Context, t Topology) (*Network, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	if os.Geteuid() != 0 {
		return nil, errors.New("topo: bringing up a network needs root: run with sudo")
	}
	n := newNetwork(t)
	if err := n.up(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("topo: %w", err), n.Close())
	}
	return n, nil
}

func (n *Network) up(ctx context.Context) error {
	for _, phase := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"namespaces", n.makeNamespaces},
		{"links", n.makeLinks},
		{"addresses", n.configure},
		{"encryption", func(context.Context) error { return n.encrypt() }},
		{"settle", n.settle},
	} {
		if err := ctx.Err(); err != nil {
			return err
		}
		start := time.Now()
		if err := phase.run(ctx); err != nil {
			return err
		}
		n.phases = append(n.phases, Phase{phase.name, time.Since(start)})
	}
	return nil
}

// makeNamespaces makes one for every machine. A few threads make many each: a thread is where a namespace is born, and it
// is free to go on to the next.
func (n *Network) makeNamespaces(ctx context.Context) error {
	machines := n.all()
	var group errgroup.Group
	var next atomic.Int64
	for range min(workers(), len(machines)) {
		group.Go(func() error {
			return onThread(func() error {
				for i := next.Add(1) - 1; int(i) < len(machines) && ctx.Err() == nil; i = next.Add(1) - 1 {
					m := machines[i]
					var err error
					if m.ns, m.rtnl, err = newNamespace(m); err != nil {
						return fmt.Errorf("%s: %w", m.name, err)
					}
				}
				return ctx.Err()
			})
		})
	}
	return group.Wait()
}

// makeLinks makes the switch and all veth pairs. One socket does: the kernel makes one device at a time.
func (n *Network) makeLinks(context.Context) error {
	if len(n.pairs) == 0 {
		return nil
	}
	requests := make([]request, 0, len(n.pairs))
	for _, a := range n.pairs {
		requests = append(requests, newPair(a, n.topology.mtu(), n.topology.Offloads))
	}
	if n.fabric == nil {
		return n.machines[0].rtnl.do(requests...)
	}

	if err := n.fabric.rtnl.do(newBridge(n.fabric.nic(), n.topology.mtu())); err != nil {
		return err
	}
	if err := n.fabric.rtnl.do(requests...); err != nil {
		return err
	}
	return n.fabric.rtnl.do(n.fabric.forwarding()...)
}

// forwarding tells the switch what is behind each port, so that it never floods a frame to a machine that it is not for.
func (m *Machine) forwarding() (requests []request) {
	for _, port := range m.ends[1:] {
		requests = append(requests, newForwarding(port.Device, port.peer.MAC))
	}
	return requests
}

// configure takes every device up and gives it what it has.
func (n *Network) configure(ctx context.Context) (err error) {
	if n.passing, err = loadPass(n.topology.mtu()); err != nil {
		return err
	}
	return each(ctx, n.all(), func(m *Machine) error {
		for _, e := range m.ends {
			if err := errors.Join(e.offloads(n.topology.Offloads), e.pass()); err != nil {
				return err
			}
		}
		requests := []request{linkUp(loopback, m.name+"/lo", true)}
		for _, e := range m.ends {
			requests = append(requests, linkUp(e.Index, e.String(), true))
			requests = append(requests, m.configuration(e.Device)...)
		}
		return m.rtnl.do(requests...)
	})
}

// workers is how many threads are worth having for work in the kernel, which is short of locks more than of processors.
func workers() int { return 2 * runtime.GOMAXPROCS(0) }

// each runs f for every machine, several at a time, and returns the first error.
func each(ctx context.Context, machines []*Machine, f func(*Machine) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers())
	for _, m := range machines {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return f(m)
		})
	}
	return group.Wait()
}
