package l4lb

import (
	"errors"
	"fmt"
	"net/netip"

	library "github.com/cilium/ebpf"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/topo"
)

// server is a host that answers for services: the program on its NIC, and the addresses of services that it has on lo.
type server struct {
	machine    *topo.Machine
	programs   *bpf.Node
	attachment *topo.Attachment
	addresses  map[netip.Addr]bool
}

// sizes are those of a server's maps: all that it looks up is balancers and addresses.
var sizes = bpf.MapSizes{Flows: 64, Claims: 64, Services: 1, Slots: 1, Backends: 1, Clients: 64, Sources: 1, Pods: 1, Prefixes: 256, Directs: 1024}

// newServer makes a host take what balancers send to it.
func newServer(network *topo.Network, name string, events *library.Map) (_ *server, err error) {
	machine, ok := network.Machine(name)
	if !ok || machine.Kind() != topo.KindHost {
		return nil, errors.New("it is no host: the balancer's servers are hosts")
	}
	s := &server{machine: machine, addresses: map[netip.Addr]bool{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	nic, err := machine.Device(topo.NIC)
	if err != nil {
		return nil, err
	}
	s.programs, err = bpf.Load(bpf.Config{
		IPv4: machine.IPv4(), IPv6: machine.IPv6(), NIC: nic.Index, NICMAC: nic.MAC, MTU: network.Topology().MTU, DSR: true, Trace: true,
	}, bpf.Options{Events: events, Sizes: sizes, OnlyXDP: true})
	if err != nil {
		return nil, err
	}
	for _, balancer := range network.Topology().Nodes {
		if err := s.meet(network, balancer); err != nil {
			return nil, err
		}
	}
	s.attachment, err = machine.AttachXDP(s.programs.Programs.XDPEntry, topo.NIC, topo.XDPBest)
	return s, err
}

// meet makes a balancer and the server known to each other. The balancer's kernel is told the server's MAC, since XDP cannot
// wait for it to ask: the first packet would take the way through TC.
func (s *server) meet(network *topo.Network, described topo.Node) error {
	balancer, _ := network.Machine(described.Name)
	nic, err := s.machine.Device(topo.NIC)
	if err != nil {
		return err
	}
	for from, to := range map[netip.Addr]netip.Addr{described.IPv4: s.machine.IPv4(), described.IPv6: s.machine.IPv6()} {
		if err := s.programs.PutPrefix(netip.PrefixFrom(from, from.BitLen()), bpf.EntityNode); err != nil {
			return err
		}
		if err := balancer.NeighbourAdd(to, nic.MAC); err != nil {
			return err
		}
	}
	return nil
}

// add makes the server answer for addresses, beside those that it has.
func (s *server) add(addresses map[netip.Addr]bool) error {
	for address := range addresses {
		if s.addresses[address] {
			continue
		}
		if err := s.machine.AddressAdd(address); err != nil {
			return err
		}
		s.addresses[address] = true
		if err := s.programs.PutOwn(address); err != nil {
			return err
		}
	}
	return nil
}

// keep makes the server answer for no other addresses than these.
func (s *server) keep(addresses map[netip.Addr]bool) error {
	for address := range s.addresses {
		if addresses[address] {
			continue
		}
		if err := s.programs.DeleteOwn(address); err != nil {
			return err
		}
		if err := s.machine.AddressDelete(address); err != nil {
			return err
		}
		delete(s.addresses, address)
	}
	return nil
}

func (s *server) close() error {
	var errs []error
	if s.attachment != nil {
		errs = append(errs, s.attachment.Close())
	}
	if s.programs != nil {
		errs = append(errs, s.programs.Close())
	}
	return errors.Join(errs...)
}

// addressesOf are the addresses that each server answers for, by the servers' names.
func addressesOf(services []harness.Service) (map[string]map[netip.Addr]bool, error) {
	all := map[string]map[netip.Addr]bool{}
	for _, s := range services {
		for _, b := range s.Backends {
			if b.Port != s.Port.Number {
				return nil, fmt.Errorf("service %q leads from port %d to port %d of %s: servers get packets as they are, so give both the same",
					s.Name, s.Port.Number, b.Port, b.Pod)
			}
			if all[b.Pod] == nil {
				all[b.Pod] = map[netip.Addr]bool{}
			}
			for _, address := range s.LoadBalancerIPs {
				all[b.Pod][address] = true
			}
		}
	}
	return all, nil
}
