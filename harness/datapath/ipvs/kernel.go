package ipvs

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/moby/ipvs"
	"golang.org/x/sys/unix"
)

var protocols = map[string]uint16{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP}

// persistent is IP_VS_SVC_F_PERSISTENT of include/uapi/linux/ip_vs.h: a client stays
// with its endpoint.
const persistent = 1

// service is a virtual service as the kernel takes it. It remembers its clients for
// so many seconds, none for 0.
func service(f frontend, remembers uint32) *ipvs.Service {
	s := &ipvs.Service{
		AddressFamily: unix.AF_INET, Netmask: 0xffffffff, // of a client
		FWMark: f.mark, SchedName: ipvs.RoundRobin, Timeout: remembers,
	}
	if f.at.Addr().Is6() {
		s.AddressFamily, s.Netmask = unix.AF_INET6, 128
	}
	if f.mark == 0 {
		s.Address, s.Port, s.Protocol = f.at.Addr().AsSlice(), f.at.Port(), protocols[f.protocol]
	}
	if remembers > 0 {
		s.Flags = persistent
	}
	return s
}

// destination is an endpoint as the kernel takes it. It gets new flows unless its
// weight is 0.
func destination(e netip.AddrPort, weight int) *ipvs.Destination {
	family := uint16(unix.AF_INET)
	if e.Addr().Is6() {
		family = unix.AF_INET6
	}
	return &ipvs.Destination{
		Address: e.Addr().AsSlice(), Port: e.Port(), AddressFamily: family,
		Weight: weight, ConnectionFlags: ipvs.ConnectionFlagMasq,
	}
}

// put makes a virtual service what it is to be. New endpoints come before others go.
func (p *proxy) put(v, was virtual, remembers uint32) error {
	s := service(v.frontend, remembers)
	write := p.kernel.NewService
	if was.frontend == v.frontend {
		write = p.kernel.UpdateService
	}
	if err := write(s); err != nil {
		return err
	}
	for _, e := range v.endpoints {
		l := leaver{v.frontend, e}
		var err error
		switch {
		case p.leaving[l]:
			err = p.kernel.UpdateDestination(s, destination(e, 1))
			delete(p.leaving, l)
		case !slices.Contains(was.endpoints, e):
			err = p.kernel.NewDestination(s, destination(e, 1))
		}
		if err != nil {
			return err
		}
	}
	for _, e := range was.endpoints {
		if slices.Contains(v.endpoints, e) {
			continue
		}
		if err := p.kernel.UpdateDestination(s, destination(e, 0)); err != nil {
			return err
		}
		p.leaving[leaver{v.frontend, e}] = true
	}
	// UDP has no end that the kernel could see: flows to who is no backend any more end here.
	for l := range p.leaving {
		if l.frontend != v.frontend || v.protocol != "udp" || slices.Contains(v.backends, l.endpoint) {
			continue
		}
		if err := p.kernel.DelDestination(s, destination(l.endpoint, 0)); err != nil {
			return err
		}
		delete(p.leaving, l)
	}
	return nil
}

// sweep deletes endpoints that have lost their last flow.
func (p *proxy) sweep() error {
	var errs []error
	for l := range p.leaving {
		there, err := p.kernel.GetDestinations(service(l.frontend, 0))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, d := range there {
			addr, _ := netip.AddrFromSlice(d.Address)
			if netip.AddrPortFrom(addr.Unmap(), d.Port) != l.endpoint || d.ActiveConnections+d.InactiveConnections > 0 {
				continue
			}
			errs = append(errs, p.kernel.DelDestination(service(l.frontend, 0), destination(l.endpoint, 0)))
			delete(p.leaving, l)
		}
	}
	return errors.Join(errs...)
}
