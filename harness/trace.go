package harness

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// Trace is the way of one packet through the lab: all hops that carry its cookie,
// in the order of time, before and after translation and encapsulation.
type Trace struct {
	lab    *Lab
	cookie uint64
}

// Trace follows a packet that the lab sent or received.
func (l *Lab) Trace(t testing.TB, p *packet.Packet) *Trace {
	t.Helper()
	cookie, ok := p.Cookie()
	if !ok {
		t.Fatalf("trace of %s: it carries no cookie, so it was not sent by this lab and its hops cannot be told from others", p)
	}
	return &Trace{lab: l, cookie: cookie}
}

// Hops returns what was seen of the packet so far.
func (tr *Trace) Hops() []Hop { return tr.lab.recording.hopsOf(tr.cookie) }

// Passed fails the test unless the packet takes these hops in this order, others
// between them allowed. A hop is named by the first words of its text:
// "node1/eth0", "node1/eth0 xdp TX", "node1 netfilter"; a machine alone, "node1", is
// any hop there.
func (tr *Trace) Passed(t testing.TB, hops ...string) *Trace {
	t.Helper()
	tr.lab.checkPatterns(t, hops)
	ctx, cancel := context.WithTimeout(t.Context(), tr.lab.timeout)
	defer cancel()
	if err := tr.lab.recording.await(ctx, func() bool { return firstMissing(tr.Hops(), hops) == "" }); err != nil {
		t.Fatalf("the packet did not pass %q\nwant, in this order:\n  %s\ngot:\n%s%s",
			firstMissing(tr.Hops(), hops), strings.Join(hops, "\n  "), tr, tr.lab.captureNote(t))
	}
	return tr
}

// Reached waits until the packet has arrived at eth0 of one of the machines, and
// returns that one.
func (tr *Trace) Reached(t testing.TB, machines ...*Machine) *Machine {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), tr.lab.timeout)
	defer cancel()
	var reached *Machine
	err := tr.lab.recording.await(ctx, func() bool {
		for _, hop := range tr.Hops() {
			for _, m := range machines {
				if hop.matches(m.name + "/" + topo.NIC + " in") {
					reached = m
				}
			}
		}
		return reached != nil
	})
	if err != nil {
		var names []string
		for _, m := range machines {
			names = append(names, m.name)
		}
		t.Fatalf("the packet reached none of %s within %v\n%s%s", strings.Join(names, ", "), tr.lab.timeout, tr, tr.lab.captureNote(t))
	}
	return reached
}

// Never fails the test if the packet took one of these hops. It waits until all
// that the lab has seen was reported, so ask once the packet has arrived.
func (tr *Trace) Never(t testing.TB, hops ...string) *Trace {
	t.Helper()
	tr.lab.checkPatterns(t, hops)
	if err := tr.lab.Sync(t.Context()); err != nil {
		t.Fatalf("wait for the lab's reports: %v", err)
	}
	tr.lab.checkNothingLost(t, hops)
	for _, hop := range tr.Hops() {
		if i := slices.IndexFunc(hops, hop.matches); i >= 0 {
			t.Fatalf("the packet passed %q (as %q), want never\n%s%s", hops[i], hop, tr, tr.lab.captureNote(t))
		}
	}
	return tr
}

// firstMissing returns the first of the patterns that the hops do not show in
// order, empty when all are there.
func firstMissing(hops []Hop, patterns []string) string {
	for _, hop := range hops {
		if len(patterns) > 0 && hop.matches(patterns[0]) {
			patterns = patterns[1:]
		}
	}
	if len(patterns) == 0 {
		return ""
	}
	return patterns[0]
}

// String lists the hops, one a line: microseconds since the first, hop, headers.
func (tr *Trace) String() string {
	hops := tr.Hops()
	if len(hops) == 0 {
		return "  (seen nowhere)\n"
	}
	width := 0
	for _, h := range hops {
		width = max(width, len(h.String()))
	}
	var b strings.Builder
	for _, h := range hops {
		fmt.Fprintf(&b, "  %7.1f µs  %-*s  %s\n", float64(h.Time-hops[0].Time)/1e3, width, h, h.headers())
	}
	return b.String()
}

// isNetfilter tells whether what follows the place in a hop's text is netfilter.
func isNetfilter(at string) bool { return strings.HasPrefix(at+" ", "netfilter ") }

// isFrame tells whether what follows the place in a hop's text is a frame that the capture saw.
func isFrame(at string) bool {
	return strings.HasPrefix(at+" ", "in ") || strings.HasPrefix(at+" ", "out ")
}

// checkNothingLost fails the test for a hop that may have been seen and not reported, of which nobody can say that it never was.
func (l *Lab) checkNothingLost(t testing.TB, patterns []string) {
	t.Helper()
	lost, err := l.forwarder.Lost()
	if err != nil {
		t.Fatalf("count the hops that %s lost: %v", l.datapath.Name(), err)
	}
	for _, pattern := range patterns {
		where, at, _ := strings.Cut(pattern, " ")
		machine, _, _ := strings.Cut(where, "/")
		var loser string
		switch watch := l.watches[machine]; {
		case watch != nil && watch.Lost() > 0 && (isNetfilter(at) || pattern == machine):
			loser = "netfilter"
		case lost[machine] > 0 && !isNetfilter(at) && !isFrame(at):
			loser = l.datapath.Name() + " datapath"
		default:
			continue
		}
		t.Fatalf("hop %q: nobody can tell, since %s's %s saw more than could be read, and hops were lost: send fewer packets at once",
			pattern, machine, loser)
	}
}

// checkPatterns fails the test for a hop that cannot be seen in this lab, so that
// Never is not true by a slip of the pen.
func (l *Lab) checkPatterns(t testing.TB, patterns []string) {
	t.Helper()
	for _, pattern := range patterns {
		where, at, _ := strings.Cut(pattern, " ")
		machine, device, named := strings.Cut(where, "/")
		m, ok := l.network.Machine(machine)
		_, watched := l.watches[machine]
		switch {
		case !ok:
			t.Fatalf("hop %q: the lab has no machine %q: it has %s", pattern, machine, strings.Join(l.machineNames(), ", "))
		case named:
			if _, err := m.Device(device); err != nil {
				t.Fatalf("hop %q: %v", pattern, err)
			}
			if isNetfilter(at) {
				t.Fatalf("hop %q: netfilter is the whole machine's: write %q", pattern, machine+" "+at)
			}
		case isNetfilter(at) && !l.observed:
			t.Fatalf("hop %q: netfilter is not observed in this lab: start it without harness.Unobserved", pattern)
		case isNetfilter(at) && !watched:
			t.Fatalf("hop %q: netfilter is observed on nodes, and %s is a %s: name a node", pattern, machine, m.Kind())
		case at != "" && l.recording.onDevices(at):
			t.Fatalf("hop %q: such a hop is on a device: write %q, or another device", pattern, machine+"/"+topo.NIC+" "+at)
		}
	}
}
