// Package harness runs labs: a topology brought up, a datapath on it, packets and
// connections sent through, and every hop that they took.
//
//	lab := harness.Start(t, topo.Cluster(3), ebpf.Datapath())
//	client, node1, web := lab.Host("client"), lab.Node("node1"), lab.Pod("web-on-node3")
//	lab.AddService(t, harness.NodePort(30080, packet.TCPPort(80), web))
//
//	client.Send(t, packet.TCP{Dst: node1.AddrPort(30080), Flags: packet.SYN})
//	syn := web.Expect(t, packet.TCP{Dst: web.AddrPort(80), Flags: packet.SYN})
//	lab.Trace(t, syn).Passed(t, "node1/eth0 xdp TX").Never(t, "node1 netfilter")
//
// Methods that take a testing.TB fail the test and say what was seen instead; the
// others return errors.
package harness

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skbench/skbench/harness/socket"
	"github.com/skbench/skbench/topo"
)

// Lab is a topology brought up with a datapath on it. A Lab speaks one address
// family, IPv4 until it is asked for its other face with IPv6.
type Lab struct {
	*core
	family topo.Family
}

// core is what all faces of one lab share.
type core struct {
	options
	datapath  Datapath
	network   *topo.Network
	forwarder Forwarder
	capture   *topo.Capture
	recording *recording
	watches   map[string]*topo.NetfilterWatch // by node
	addrs     map[string]addresses            // by machine
	phases    []topo.Phase

	cookies  atomic.Uint64 // the last one given out
	captured atomic.Bool   // a failure has said where the capture lies
	mu       sync.Mutex
	services []Service
	sockets  map[string]*socket.Process // by machine, started when first needed
	lastSent uint64                     // cookie
	unknown  error                      // the machine that a test asked an address of and that is not there
}

type options struct {
	timeout  time.Duration
	observed bool
}

// Option changes how a lab is run.
type Option func(*options)

// Timeout sets how long Expect and Passed wait before they fail; 2 s otherwise, and longer where [topo.Patience] says so.
func Timeout(d time.Duration) Option { return func(o *options) { o.timeout = d } }

// Unobserved leaves out captures and netfilter's counting rules: the lab carries
// nothing but the datapath, as benchmarks want it.
func Unobserved() Option { return func(o *options) { o.observed = false } }

// New brings up a topology with a datapath on it. The caller closes the lab.
// Tests call Start instead.
func New(ctx context.Context, topology topo.Topology, datapath Datapath, opts ...Option) (*Lab, error) {
	c := &core{
		options:   options{timeout: topo.Patience(2 * time.Second), observed: true},
		datapath:  datapath,
		recording: newRecording(),
		sockets:   map[string]*socket.Process{},
	}
	for _, opt := range opts {
		opt(&c.options)
	}
	if err := c.up(ctx, topology); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &Lab{core: c, family: topo.IPv4}, nil
}

func (c *core) up(ctx context.Context, topology topo.Topology) (err error) {
	c.addrs = addressesOf(topology)
	if c.network, err = topo.Up(ctx, topology); err != nil {
		return err
	}
	start := time.Now()
	if err := c.observe(); err != nil {
		return err
	}
	c.phases = append(c.phases, topo.Phase{Name: "captures", Duration: time.Since(start)})
	if c.forwarder, err = c.datapath.Up(ctx, c.network, c.recording.addHop); err != nil {
		return fmt.Errorf("%s datapath: %w", c.datapath.Name(), err)
	}
	return nil
}

// observe starts the taps, and netfilter's counting rules on every node. From then
// on the kernels of pods and hosts leave crafted packets to the test.
func (c *core) observe() (err error) {
	if !c.observed {
		return nil
	}
	if c.capture, err = c.network.Capture(c.recording.addFrame); err != nil {
		return err
	}
	if err := c.network.Mute(); err != nil {
		return err
	}
	return c.watchNetfilter()
}

// Close takes everything down again, whatever state it is in.
func (c *core) Close() error {
	var errs []error
	for _, p := range c.sockets {
		errs = append(errs, p.Close())
	}
	if c.forwarder != nil {
		errs = append(errs, c.forwarder.Close())
	}
	if c.network != nil {
		errs = append(errs, c.network.Close()) // and with it the captures and watches
	}
	return errors.Join(errs...)
}

// IPv6 returns the same lab with its machines seen by their IPv6 addresses.
func (l *Lab) IPv6() *Lab { return &Lab{core: l.core, family: topo.IPv6} }

// Family tells which addresses the lab's machines give.
func (l *Lab) Family() topo.Family { return l.family }

// Datapath is the one the lab was started with.
func (l *Lab) Datapath() Datapath { return l.datapath }

// Forwarder is the datapath in place, for what one datapath alone can tell: see
// ebpf.SessionMetrics.
func (l *Lab) Forwarder() Forwarder { return l.forwarder }

// Phases tells how long each step of bringing the lab up took: those of the
// network, the captures, those of the datapath.
func (l *Lab) Phases() []topo.Phase {
	return slices.Concat(l.network.Phases(), l.phases, l.forwarder.Phases())
}

// Sync returns once everything that happened in the lab before the call is in
// its recording: captured frames, hops that the datapath reports, netfilter's.
func (c *core) Sync(ctx context.Context) error {
	if c.capture != nil {
		if err := c.capture.Sync(ctx); err != nil {
			return err
		}
	}
	for _, w := range c.watches {
		if err := w.Sync(ctx); err != nil {
			return err
		}
	}
	return c.forwarder.Sync(ctx)
}

// Network is what the lab's topology was brought up as.
func (l *Lab) Network() *topo.Network { return l.network }
