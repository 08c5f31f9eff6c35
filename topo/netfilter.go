package topo

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A NetfilterHop is one sighting of a packet at the head of a netfilter chain.
type NetfilterHop struct {
	Time         uint64 // when it was read, nanoseconds of CLOCK_MONOTONIC: somewhat after the packet was there
	Machine      string
	Family       Family
	Table, Chain string // "mangle", "FORWARD"
	In, Out      Device // zero where the chain has none
	Packet       []byte // from the IP header on
}

// A NetfilterWatch logs and counts every packet at the head of every builtin chain of every table, in both families. In
// the nat table that is the first packet of a flow only, and no packet as long as no rule of others makes the kernel track
// connections: it is not asked more often.
type NetfilterWatch struct {
	machine *Machine
	log     *nflog
}

// tables are all, with their builtin chains.
var tables = []struct {
	name   string
	chains []string
}{
	{"raw", []string{"PREROUTING", "OUTPUT"}},
	{"mangle", []string{"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"}},
	{"nat", []string{"PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"}},
	{"filter", []string{"INPUT", "FORWARD", "OUTPUT"}},
	{"security", []string{"INPUT", "FORWARD", "OUTPUT"}},
}

// WatchNetfilter begins to watch the machine's netfilter. Hops are delivered one at a time from a single goroutine. Rules loaded
// later must leave those of the watch in place, as RestoreIptables does.
func (m *Machine) WatchNetfilter(deliver func(NetfilterHop)) (*NetfilterWatch, error) {
	log, err := newNflog(m, func(attrs map[uint16]syscall.NetlinkRouteAttr, family Family) { deliver(m.hop(attrs, family)) })
	if err != nil {
		return nil, fmt.Errorf("topo: watching netfilter on %s: %w", m.name, err)
	}
	w := &NetfilterWatch{machine: m, log: log}
	if err := w.restore(context.Background(), "-I"); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// restore puts the rules in (-I) or out (-D).
func (w *NetfilterWatch) restore(ctx context.Context, operation string) error {
	var rules strings.Builder
	for _, table := range tables {
		fmt.Fprintf(&rules, "*%s\n", table.name)
		for _, chain := range table.chains {
			fmt.Fprintf(&rules, "%s %s -j NFLOG --nflog-group %d --nflog-prefix \"%s %s\"\n", operation, chain, nflogGroup, table.name, chain)
		}
		fmt.Fprintln(&rules, "COMMIT")
	}
	for _, family := range []Family{IPv4, IPv6} {
		if err := w.machine.RestoreIptables(ctx, family, rules.String()); err != nil {
			return err
		}
	}
	return nil
}

// hop decodes what a rule of the watch logged.
func (m *Machine) hop(attrs map[uint16]syscall.NetlinkRouteAttr, family Family) NetfilterHop {
	prefix := unix.ByteSliceToString(attrs[packetPrefix].Value)
	table, chain, _ := strings.Cut(prefix, " ")
	return NetfilterHop{
		Time: monotonic(), Machine: m.name, Family: family, Table: table, Chain: chain,
		In: m.logged(attrs[packetIn]), Out: m.logged(attrs[packetOut]),
		Packet: slices.Clone(attrs[packetPayload].Value),
	}
}

// logged is the device whose index, big-endian, is an attribute.
func (m *Machine) logged(attr syscall.NetlinkRouteAttr) Device {
	if len(attr.Value) != 4 {
		return Device{}
	}
	index := int(binary.BigEndian.Uint32(attr.Value))
	if index == loopback {
		return Device{Machine: m.name, Name: "lo", Index: loopback}
	}
	d, _ := m.network.Device(index)
	return d
}

// Sync returns when every hop of before the call has been delivered. It must not be called by deliver.
func (w *NetfilterWatch) Sync(ctx context.Context) error {
	if err := w.log.Sync(ctx); err != nil {
		return fmt.Errorf("topo: waiting for netfilter's log of %s: %w", w.machine.name, err)
	}
	return nil
}

// Counters returns how many packets reached each chain, by table and chain: "mangle/FORWARD". Chains that saw none are
// there with 0.
func (w *NetfilterWatch) Counters(family Family) (map[string]uint64, error) {
	saved, err := w.machine.iptables(context.Background(), family, "-save", "", "-c")
	if err != nil {
		return nil, err
	}
	return counters(saved)
}

// counters reads the counts of the rules of the watch from the output of iptables-save -c, with lines like
//
//	*mangle
//	[7:420] -A FORWARD -j NFLOG --nflog-prefix "mangle FORWARD" --nflog-group 1977
func counters(saved string) (map[string]uint64, error) {
	counts := map[string]uint64{}
	table := ""
	for line := range strings.Lines(saved) {
		words := strings.Fields(line)
		if name, ok := strings.CutPrefix(line, "*"); ok {
			table = strings.TrimSpace(name)
		}
		if group := slices.Index(words, "--nflog-group"); group < 3 || words[group+1] != strconv.Itoa(nflogGroup) {
			continue
		}
		packets, _, _ := strings.Cut(strings.TrimPrefix(words[0], "["), ":")
		count, err := strconv.ParseUint(packets, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("topo: reading the counters of netfilter in %q: %w", strings.TrimSpace(line), err)
		}
		counts[table+"/"+words[2]] = count
	}
	return counts, nil
}

// Lost tells how many times hops were lost: because deliver was too slow, or because nobody can read what the kernel logged.
func (w *NetfilterWatch) Lost() uint64 { return w.log.lost.Load() }

// Close removes the rules of the watch and ends it.
func (w *NetfilterWatch) Close() error {
	return errors.Join(w.restore(context.Background(), "-D"), w.log.Close())
}
