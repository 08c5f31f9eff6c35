package bpf_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness/packet"
)

// changing is three services with backends of their own, in tables so small that what one gives up another gets at once. Two
// have other backends with every change, the third comes and goes.
type changing struct {
	node    *bpf.Node
	maglev  int
	changes int
}

func frontendOf(service int) netip.AddrPort { return node1.at(v4, uint16(30080+service)) }

// backendOf is one of three backends of a service; its port tells whose.
func backendOf(service, n int) netip.AddrPort { return remote.at(v4, uint16(1000*(service+1)+n%3)) }

func (c *changing) change() error {
	c.changes++
	var put []bpf.Service
	var remove []bpf.Frontend
	for service := range 3 {
		s := bpf.Service{
			Frontend: bpf.Frontend{Addr: frontendOf(service), Protocol: bpf.TCP}, External: true, Maglev: c.maglev,
			Backends: at(backendOf(service, c.changes), backendOf(service, c.changes+1)),
		}
		if service == 2 && c.changes%2 == 0 {
			remove = append(remove, s.Frontend)
		} else {
			put = append(put, s)
		}
	}
	return c.node.Serve(put, remove)
}

// TestChangesUnderTraffic opens flows while services change all the time: each finds a backend of its own service, and none
// finds a service without one.
func TestChangesUnderTraffic(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		maglev, slots, enough int
	}{
		"random": {0, 64, 100}, "maglev": {bpf.MinMaglev, 6 * bpf.MinMaglev, 10},
	} {
		t.Run(name, func(t *testing.T) {
			sizes := smallMaps
			sizes.Services, sizes.Slots, sizes.Backends = 32, uint32(c.slots), 32
			sizes.Claims = 65536 // new flows come as fast as they can
			r := newRigOf(t, sizes, func(c *bpf.Config) { c.Trace = false })
			changing := &changing{node: r.Node, maglev: c.maglev}
			require.NoError(t, changing.change())

			stop, stopped := make(chan struct{}), make(chan error, 1)
			changed := make(chan struct{}, 1)
			go func() {
				defer close(changed)
				for {
					select {
					case <-stop:
						stopped <- nil
						return
					default:
					}
					if err := changing.change(); err != nil {
						stopped <- err
						return
					}
					select {
					case changed <- struct{}{}:
					default:
					}
				}
			}()
			traffic := newTraffic(t, r)
			r.ns.try(t, func() error {
				for range c.enough {
					for range 50_000 / c.enough {
						if err := traffic.open(); err != nil {
							return err
						}
					}
					<-changed // however the two share the CPUs
				}
				return nil
			})
			close(stop)
			require.NoError(t, <-stopped)
			t.Logf("%d changes", changing.changes)
		})
	}
}

// traffic opens one flow after the other, each from another client, to the services in turn.
type traffic struct {
	rig    *rig
	frames [][]byte // one for each service
	out    []byte
	flows  uint32
}

func newTraffic(t *testing.T, r *rig) *traffic {
	tr := &traffic{rig: r, out: make([]byte, 2048)}
	for service := range 3 {
		tr.frames = append(tr.frames, wire(t, packet.TCP{Src: client.at(v4, 1), Dst: frontendOf(service), Flags: packet.SYN}, packet.Zero{"Checksum"}))
	}
	return tr
}

func (tr *traffic) open() error {
	tr.flows++
	service := int(tr.flows % 3)
	frame := tr.frames[service]
	binary.BigEndian.PutUint32(frame[l4-8:], 172<<24|31<<16|tr.flows)
	binary.BigEndian.PutUint16(frame[l4:], uint16(tr.flows))
	xdp := tr.rig.xdp()
	options := &ebpf.RunOptions{Data: frame, DataOut: tr.out[:cap(tr.out)], Context: xdp.context(len(frame))}
	code, err := xdp.program.Run(options)
	switch {
	case err != nil:
		return err
	case service == 2 && code == xdp.code(bpf.Pass):
		return nil // not there just now
	case code != xdp.code(bpf.Tx):
		return fmt.Errorf("flow %d to service %d: XDP returns %d, want %d", tr.flows, service, code, xdp.code(bpf.Tx))
	}
	p, err := packet.Decode(options.DataOut)
	if err != nil {
		return err
	}
	for n := range 3 {
		if p.Dst() == backendOf(service, n) {
			return nil
		}
	}
	return fmt.Errorf("flow %d to service %d went to another's backend: %s", tr.flows, service, p)
}

// TestElementUsedAgain has a frontend's element of the hash lead to another's service, as a program can see it when the kernel
// gives the element away while the program reads it: it must not be followed.
func TestElementUsedAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, f := range families {
		one := bpf.Frontend{Addr: node1.at(f, 30080), Protocol: bpf.TCP}
		other := bpf.Frontend{Addr: node1.at(f, 30081), Protocol: bpf.TCP}
		r.serve(t, one.Protocol, one.Addr, remote.at(f, 80))
		r.serve(t, other.Protocol, other.Addr, remote2.at(f, 80))
		require.NoError(t, r.Misdirect(one, other))
		for _, at := range []hook{r.xdp(), r.fromNetdev()} {
			r.send(t, at, client, node1, message(bpf.TCP, client.at(f, 40000), one.Addr)).untouched(t)
		}
		require.NoError(t, r.Misdirect(one, one))
		require.Equal(t, remote.at(f, 80), r.send(t, r.xdp(), client, node1, message(bpf.TCP, client.at(f, 40000), one.Addr)).Dst())
	}
}

// TestChangeLeavesFrontendsAlone changes a service while nobody can write to the hash of frontends: who walks along one of its
// buckets while another's element is replaced may miss a frontend that is there.
func TestChangeLeavesFrontendsAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	frontend := node1.at(v4, 30080)
	r.serve(t, bpf.TCP, frontend, remote.at(v4, 80))
	require.NoError(t, r.Maps.Frontends.Freeze())
	for _, backend := range []netip.AddrPort{remote2.at(v4, 80), remote.at(v4, 81)} {
		r.serve(t, bpf.TCP, frontend, backend)
		require.NoError(t, r.DeleteFlows())
		require.Equal(t, backend, r.send(t, r.xdp(), client, node1, message(bpf.TCP, client.at(v4, 40000), frontend)).Dst())
	}
}

// TestAllOrNothing changes some services and removes one together with a service that cannot be: nothing happens.
func TestAllOrNothing(t *testing.T) {
	t.Parallel()
	sizes := smallMaps
	sizes.Slots, sizes.Services, sizes.Backends = 10, 4, 8
	r := newRigOf(t, sizes)
	frontend := func(port uint16) bpf.Frontend {
		return bpf.Frontend{Addr: node1.at(v4, port), Protocol: bpf.TCP}
	}
	service := func(port uint16, backends ...uint16) bpf.Service {
		s := bpf.Service{Frontend: frontend(port), External: true}
		for _, b := range backends {
			s.Backends = append(s.Backends, bpf.Backend{Addr: remote.at(v4, b)})
		}
		return s
	}
	require.NoError(t, r.Serve([]bpf.Service{service(1, 101), service(2, 102)}, nil))
	before, err := r.Used()
	require.NoError(t, err)

	self := service(5, 105)
	self.Backends[0].Addr = self.Addr
	for want, too := range map[string][]bpf.Service{
		"is its own backend":              {self},
		"TCP 172.16.0.1:3 is there twice": {service(3, 103), service(3, 104)},
		"TCP 172.16.0.1:2 is there twice": {service(2, 102)}, // it is removed as well
		"there is room for 4":             {service(3, 103), service(4, 104), service(5, 105), service(6, 106)},
		"MapSizes.Slots":                  {service(3, 103, 104, 105, 106, 107), service(4, 103, 104, 105, 106)},
		"MapSizes.Backends":               {service(3, 103, 104, 105, 106, 108, 109)},
	} {
		t.Run(want, func(t *testing.T) {
			require.ErrorContains(t, r.Serve(append([]bpf.Service{service(1, 107)}, too...), []bpf.Frontend{frontend(2)}), want)
			after, err := r.Used()
			require.NoError(t, err)
			require.Equal(t, before, after)
			require.NoError(t, r.DeleteFlows())
			for port, backend := range map[uint16]uint16{1: 101, 2: 102} {
				out := r.send(t, r.xdp(), client, node1, message(bpf.TCP, client.at(v4, 40000), frontend(port).Addr))
				require.Equal(t, remote.at(v4, backend), out.Dst())
			}
		})
	}
	require.NoError(t, r.Serve([]bpf.Service{service(1, 107), service(3, 103)}, []bpf.Frontend{frontend(2)}))
}

// BenchmarkChange tells what it costs to write many services at once, and then to change one of them.
func BenchmarkChange(b *testing.B) {
	for _, services := range []int{1, 1000, 10_000} {
		b.Run(fmt.Sprintf("services=%d", services), func(b *testing.B) {
			node, err := bpf.Load(goodConfig(), bpf.Options{Sizes: bpf.MapSizes{Flows: 1024, Services: 16384, Backends: 65536, EventBytes: 4096}})
			require.NoError(b, err)
			defer node.Close()
			service := func(i, change int) bpf.Service {
				addr := netip.AddrFrom4([4]byte{10, 96, byte(i >> 8), byte(i)})
				return bpf.Service{
					Frontend: bpf.Frontend{Addr: netip.AddrPortFrom(addr, 80), Protocol: bpf.TCP},
					Backends: at(remote.at(v4, uint16(i)+1), remote2.at(v4, uint16(i)+1), podA.at(v4, uint16(change)+1)),
				}
			}
			var all []bpf.Service
			for i := range services {
				all = append(all, service(i, 0))
			}
			start := time.Now()
			require.NoError(b, node.Serve(all, nil))
			filled := time.Since(start)
			for i := 0; b.Loop(); i++ {
				require.NoError(b, node.PutService(service(i%services, i)))
			}
			b.ReportMetric(float64(filled.Microseconds())/float64(services), "µs/service")
		})
	}
}
