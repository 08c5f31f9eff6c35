package scenarios

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// S8: a client keeps its backend as long as it opens flows often enough. After the
// time without one, or when the backend is gone, it may get another.
func TestSessionAffinity(t *testing.T) {
	t.Parallel()
	everyServer.Run(t, topo.Cluster(3), func(t *testing.T, lab *harness.Lab) {
		webs := []*harness.Machine{lab.Pod("web-on-node1"), lab.Pod("web-on-node2"), lab.Pod("web-on-node3")}
		var crowds []*crowd // one for each protocol, to wait for both at once
		for i, p := range []protocol{tcp, udp} {
			service := harness.NodePort(uint16(30080+i), p.port(80), webs...)
			service.Affinity = time.Second
			crowds = append(crowds, &crowd{
				lab: lab, protocol: p, service: lab.AddService(t, service),
				at: lab.Node("node1").AddrPort(service.NodePort), webs: webs,
			})
		}
		for _, c := range crowds {
			c.ask(t)
			require.Greater(t, len(distinct(c.got)), 1, "clients choose for themselves")
		}
		for range 2 { // the second time lets more than a second pass since the first flows, but not since the last
			waitFor(700 * time.Millisecond)
			for _, c := range crowds {
				c.askAgain(t)
			}
		}
		for _, c := range crowds {
			c.loseBackend(t)
		}
		if lab.Datapath().Name() == "ipvs" {
			t.Log("IPVS remembers a client as long as a flow of its is open, and takes these for open for a minute")
			return
		}
		// There are enough clients: that none chooses another is one chance in 3^24.
		waitFor(1100 * time.Millisecond)
		for _, c := range crowds {
			before := c.got
			c.ask(t)
			require.NotEqual(t, before, c.got, "after the time the choice is free")
		}
	})
}

// crowd is many clients of one service, by their addresses.
type crowd struct {
	lab      *harness.Lab
	protocol protocol
	service  *harness.Served
	at       netip.AddrPort
	webs     []*harness.Machine

	got  []string    // who got each client's last flow
	when []time.Time // it was sent, or before
}

// ask has each client open a flow.
func (c *crowd) ask(t *testing.T) {
	t.Helper()
	c.got, c.when = nil, nil
	for i := range 24 {
		from := packet.Layers{packet.IPv4{Src: topo.HostIPv4(100 + i)}}
		if c.lab.Family() == topo.IPv6 {
			from = packet.Layers{packet.IPv6{Src: topo.HostIPv6(100 + i)}}
		}
		c.when = append(c.when, time.Now())
		sent := c.lab.Host("client").Send(t, append(from, c.protocol.request(c.at)))
		c.got = append(c.got, c.lab.Trace(t, sent).Reached(t, c.webs...).Name())
	}
}

// askAgain fails unless each client finds the backend that it had. One that a slow
// machine let wait for too long may have another.
func (c *crowd) askAgain(t *testing.T, gone ...string) {
	t.Helper()
	got, when := c.got, c.when
	c.ask(t)
	for i := range got {
		switch {
		case slices.Contains(gone, got[i]):
			require.NotEqual(t, got[i], c.got[i])
		case time.Since(when[i]) < c.service.Affinity:
			require.Equal(t, got[i], c.got[i], "backend of client %d", i)
		}
	}
}

// loseBackend takes one backend away for a while.
func (c *crowd) loseBackend(t *testing.T) {
	all, gone := c.service.Backends, c.got[0]
	c.service.Change(t, func(s *harness.Service) {
		s.Backends = slices.DeleteFunc(s.Backends, func(b harness.Backend) bool { return b.Pod == gone })
	})
	c.askAgain(t, gone)
	c.service.Change(t, func(s *harness.Service) { s.Backends = all })
	c.askAgain(t)
}

// waitFor lets time pass: what ends by the clock has no other event to wait for.
func waitFor(d time.Duration) { <-time.After(d) }

// distinct are the values that there are.
func distinct(of []string) []string { return slices.Compact(slices.Sorted(slices.Values(of))) }
