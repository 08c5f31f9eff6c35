package harness

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// quiet is how long ExpectNone waits for a packet that should not come, where
// nothing tells that the packet has ended elsewhere.
const quiet = 100 * time.Millisecond

// Machine is a node, pod or outside host of a lab, seen by one address family.
type Machine struct {
	lab  *Lab
	name string
	net  *topo.Machine
	err  error // why there is no such machine; reported when it is first used
}

// Node returns a cluster node.
func (l *Lab) Node(name string) *Machine { return l.machine(topo.KindNode, name) }

// Pod returns a pod.
func (l *Lab) Pod(name string) *Machine { return l.machine(topo.KindPod, name) }

// Host returns a host outside the cluster.
func (l *Lab) Host(name string) *Machine { return l.machine(topo.KindHost, name) }

func (l *Lab) machine(kind topo.Kind, name string) *Machine {
	m := &Machine{lab: l, name: name}
	found, ok := l.network.Machine(name)
	switch {
	case !ok:
		m.err = fmt.Errorf("the lab has no %s %q: it has %s", kind, name, strings.Join(l.machineNames(), ", "))
	case found.Kind() != kind:
		m.err = fmt.Errorf("%q is a %s, not a %s", name, found.Kind(), kind)
	default:
		m.net = found
	}
	return m
}

func (c *core) machineNames() (names []string) {
	for _, m := range c.network.Machines() {
		names = append(names, m.Name())
	}
	return names
}

// explain adds to an error that a machine was asked for which the lab does not have:
// then the address that was used is none.
func (c *core) explain(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unknown == nil || errors.Is(err, c.unknown) {
		return err
	}
	return fmt.Errorf("%w\n%w", err, c.unknown)
}

// Name is the machine's name in the topology.
func (m *Machine) Name() string { return m.name }

// Network is the machine as the topology made it: its devices, namespaces, links. It
// panics, and says which machines there are, where the lab has none of that name.
func (m *Machine) Network() *topo.Machine {
	if m.err != nil {
		panic(fmt.Sprintf("harness: %v", m.err))
	}
	return m.net
}

// Addr is the machine's own address of the lab's family. Of a machine that the lab
// does not have it is no address, and what is sent there says so.
func (m *Machine) Addr() netip.Addr {
	if m.err != nil {
		m.lab.mu.Lock()
		defer m.lab.mu.Unlock()
		m.lab.unknown = m.err
	}
	return m.lab.addrs[m.name].of(m.lab.family)
}

// Gateway is the address that a pod's packets to anywhere go through.
func (m *Machine) Gateway() netip.Addr {
	return m.lab.addrs[m.name].gateway.of(m.lab.family)
}

// AddrPort is a port on the machine's own address of the lab's family.
func (m *Machine) AddrPort(port uint16) netip.AddrPort { return netip.AddrPortFrom(m.Addr(), port) }

// Send sends a packet out of the machine's eth0 and returns it as it was sent.
// What the template leaves open is filled in: the machine's own addresses, the
// next hop's MAC, a source port, full checksums, and a cookie by which the packet
// is found again at every hop.
func (m *Machine) Send(t testing.TB, template packet.Template) *packet.Packet {
	t.Helper()
	p, err := m.send(template)
	if err != nil {
		t.Fatalf("send from %s: %v", m.name, m.lab.explain(err))
	}
	return p
}

func (m *Machine) send(template packet.Template) (*packet.Packet, error) {
	if m.err != nil {
		return nil, m.err
	}
	nic, err := m.net.Device(topo.NIC)
	if err != nil {
		return nil, err
	}
	defaults := packet.Defaults{
		SrcMAC:  nic.MAC,
		SrcIPv4: m.net.IPv4(),
		SrcIPv6: m.net.IPv6(),
		Cookie:  m.lab.cookies.Add(1),
	}
	if to, ok := packet.Destination(template); ok {
		_, mac, err := m.net.NextHop(to)
		if err != nil {
			return nil, err
		}
		defaults.DstMAC = mac
	}
	p, err := packet.Build(template, defaults)
	if err != nil {
		return nil, err
	}
	m.lab.mu.Lock()
	m.lab.lastSent = defaults.Cookie
	m.lab.mu.Unlock()
	return p, m.net.Inject(topo.NIC, p.Data)
}

// Expect waits for a packet that matches the template to arrive on the machine's
// eth0, and returns it. Each packet is returned once. Its checksums must be right.
func (m *Machine) Expect(t testing.TB, template packet.Template) *packet.Packet {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), m.lab.timeout)
	defer cancel()
	found, err := m.await(ctx, template)
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", m.name, err, m.describeMissing(template), m.lab.captureNote(t))
	}
	if err := m.lab.verifyChecksums(found); err != nil {
		t.Fatalf("%s received %s: %v\n%s%s", m.name, found, err, found.Describe(), m.lab.captureNote(t))
	}
	return found
}

// ExpectNone fails the test if a packet that matches the template arrives on the
// machine's eth0. The wait ends early when the datapath reports that the packet
// last sent was dropped.
func (m *Machine) ExpectNone(t testing.TB, template packet.Template) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), quiet)
	defer cancel()
	_ = m.lab.recording.await(ctx, m.lab.lastSentWasDropped) // its end is not an error here
	if err := m.lab.Sync(t.Context()); err != nil {
		t.Fatalf("wait for the lab's reports: %v", err)
	}
	if found, _ := m.lab.recording.take(m.name, template, 0); found != nil {
		t.Fatalf("%s received a packet that it must not:\n%s\n%s%s",
			m.name, found.Describe(), m.lab.traceLast(), m.lab.captureNote(t))
	}
}

func (m *Machine) await(ctx context.Context, template packet.Template) (found *packet.Packet, err error) {
	switch {
	case m.err != nil:
		return nil, m.err
	case !m.lab.observed:
		return nil, fmt.Errorf("nothing is captured in this lab: start it without harness.Unobserved")
	}
	next := 0
	err = m.lab.recording.await(ctx, func() bool {
		found, next = m.lab.recording.take(m.name, template, next)
		return found != nil
	})
	if err != nil {
		return nil, fmt.Errorf("no such packet within %v", m.lab.timeout)
	}
	return found, nil
}

// describeMissing says what came instead of an expected packet: the nearest one,
// field by field, and how far the packet last sent got.
func (m *Machine) describeMissing(template packet.Template) string {
	var b strings.Builder
	if nearest := m.nearest(template); nearest != nil {
		fmt.Fprintf(&b, "the nearest that %s received:\n%s\n", m.name, nearest)
	} else {
		fmt.Fprintf(&b, "%s received nothing of the kind; want %v\n", m.name, template)
	}
	b.WriteString(m.lab.traceLast())
	return b.String()
}

// nearest compares the template with every packet that the machine received and
// was not taken, and returns the comparison with the fewest differences.
func (m *Machine) nearest(template packet.Template) *packet.Mismatch {
	var nearest *packet.Mismatch
	for _, p := range m.lab.recording.pending(m.name) {
		if mismatch := packet.Match(template, p); mismatch != nil && (nearest == nil || differing(mismatch) < differing(nearest)) {
			nearest = mismatch
		}
	}
	return nearest
}

// differing counts the fields in which a packet differs from the template.
func differing(m *packet.Mismatch) (n int) {
	for _, row := range m.Rows {
		if row.Differs {
			n++
		}
	}
	return n
}

func (l *Lab) lastSentHops() []Hop {
	l.mu.Lock()
	cookie := l.lastSent
	l.mu.Unlock()
	return l.recording.hopsOf(cookie)
}

func (l *Lab) lastSentWasDropped() bool {
	for _, h := range l.lastSentHops() {
		if h.Reason != "" {
			return true
		}
	}
	return false
}

func (l *Lab) traceLast() string {
	l.mu.Lock()
	cookie := l.lastSent
	l.mu.Unlock()
	if cookie == 0 {
		return "nothing was sent\n"
	}
	return "the way of the packet last sent:\n" + (&Trace{lab: l, cookie: cookie}).String()
}
