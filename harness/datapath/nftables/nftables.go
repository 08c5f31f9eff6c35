// Package nftables is kube-proxy's nftables mode as a datapath: the kernel routes,
// and netfilter balances and masquerades by maps, so that a packet finds its service
// in the same time however many there are.
package nftables

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	nft "github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/kubeproxy"
	"github.com/skbench/skbench/harness/feature"
	"github.com/skbench/skbench/topo"
)

// Datapath describes the nftables datapath.
func Datapath() harness.Datapath { return datapath{} }

type datapath struct{}

func (datapath) Name() string { return "nftables" }

func (datapath) Needs() []*feature.Feature { return []*feature.Feature{feature.NFTablesDatapath} }

func (datapath) LeavesQuotedChecksums() bool { return false }

func (datapath) Up(ctx context.Context, network *topo.Network, _ func(harness.Hop)) (harness.Forwarder, error) {
	return kubeproxy.Up(ctx, network, func(_ context.Context, m *topo.Machine, n kubeproxy.Node) (kubeproxy.Proxy, error) {
		p, err := newProxy(m, n)
		if err != nil {
			return nil, err
		}
		return p, nil
	})
}

// proxy writes one table by way of a netlink socket of its own, which belongs to the
// machine that it was opened in and serves from any thread.
type proxy struct {
	kernel *nft.Conn
	node   kubeproxy.Node
	table  *nft.Table
	stale  ruleset // chains and sets that nothing leads to any more, not deleted yet
	sets   uint32  // numbered in the transaction that is being written
}

func newProxy(m *topo.Machine, n kubeproxy.Node) (*proxy, error) {
	p := &proxy{node: n, table: &nft.Table{Name: tableName, Family: nft.TableFamilyIPv4}, stale: newRuleset()}
	if n.Family == topo.IPv6 {
		p.table.Family = nft.TableFamilyIPv6
	}
	err := m.Do(func() (err error) {
		p.kernel, err = nft.New(nft.AsLasting(), nft.WithSockOptions(buffers))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open netfilter's socket: %w", err)
	}
	if err := p.setUp(); err != nil {
		return nil, errors.Join(fmt.Errorf("make the table %s: %w", tableName, err), p.Close())
	}
	return p, nil
}

// buffers makes room for a transaction, which goes to the kernel in one message, and
// for the answers to it, which all wait to be read before the first is. Memory is
// taken as it is used.
func buffers(conn *netlink.Conn) error {
	return errors.Join(conn.SetWriteBuffer(256<<20), conn.SetReadBuffer(256<<20))
}

// setUp writes what never changes, and the maps, still empty.
func (p *proxy) setUp() error {
	p.kernel.AddTable(p.table)
	for _, reason := range kubeproxy.Reasons {
		p.kernel.AddObj(&nft.CounterObj{Table: p.table, Name: string(reason)})
	}
	for name, addrs := range map[string][]netip.Addr{nodePortIPs: {p.node.Addr}, nodeIPs: p.node.Nodes} {
		if err := p.kernel.AddSet(p.addresses(name), elements(addrs)); err != nil {
			return err
		}
	}
	for _, name := range slices.Concat(mapsOfAddresses, mapsOfPorts) {
		if err := p.kernel.AddSet(p.vmap(name), nil); err != nil {
			return err
		}
	}
	chains := fixed(p.node)
	for name := range chains {
		p.kernel.AddChain(p.chain(name))
	}
	for _, b := range bases() {
		p.kernel.AddChain(&nft.Chain{Table: p.table, Name: b.name, Type: b.kind, Hooknum: b.hook, Priority: &b.priority})
	}
	for _, b := range bases() {
		chains[b.name] = b.rules
	}
	for name, rules := range chains {
		if err := p.fill(name, rules); err != nil {
			return err
		}
	}
	return p.commit()
}

// Serve writes what differs from before, in three steps. First come chains that
// nothing leads to yet; then, in one transaction, the maps that lead to them and the
// chains that changed; last go chains that nothing leads to any more. So a packet
// that is under way while the kernel turns from the old rules to the new finds a
// chain wherever it is sent.
func (p *proxy) Serve(_ context.Context, c kubeproxy.Change) error {
	before := rules(p.node, slices.Concat(c.Old, c.Went))
	wanted := rules(p.node, slices.Concat(c.Changed, c.Came))
	if err := p.prepare(before, wanted); err != nil {
		return fmt.Errorf("write new chains: %w", err)
	}
	if err := p.turn(before, wanted); err != nil {
		return fmt.Errorf("write maps and changed chains: %w", err)
	}
	if err := p.sweep(before, wanted); err != nil {
		return fmt.Errorf("delete old chains: %w", err)
	}
	return nil
}

// chunk is how many chains or elements go into one transaction or message.
const chunk = 500

// prepare makes sets and chains that are not there yet.
func (p *proxy) prepare(before, wanted ruleset) error {
	for name, remembered := range wanted.affinity {
		if _, ok := before.affinity[name]; ok {
			continue
		}
		delete(p.stale.affinity, name)
		set := p.addresses(name)
		set.Dynamic, set.HasTimeout, set.Timeout, set.Size = true, true, remembered, 65535
		if err := p.kernel.AddSet(set, nil); err != nil {
			return err
		}
	}
	var fresh []string
	for name := range wanted.chains {
		if _, ok := before.chains[name]; ok {
			continue
		}
		fresh = append(fresh, name)
		p.kernel.AddChain(p.chain(name))
		if _, ok := p.stale.chains[name]; ok { // it was on its way out, and is there still
			p.kernel.FlushChain(p.chain(name))
			delete(p.stale.chains, name)
		}
	}
	if err := p.commit(); err != nil {
		return err
	}
	for names := range slices.Chunk(fresh, chunk) {
		for _, name := range names {
			if err := p.fill(name, wanted.chains[name]); err != nil {
				return err
			}
		}
		if err := p.commit(); err != nil {
			return err
		}
	}
	return nil
}

// turn makes packets take the wanted rules.
func (p *proxy) turn(before, wanted ruleset) error {
	same := func(a, b statement) bool { return a.text == b.text }
	for name, rules := range wanted.chains {
		if was, ok := before.chains[name]; ok && !slices.EqualFunc(was, rules, same) {
			p.kernel.FlushChain(p.chain(name))
			if err := p.fill(name, rules); err != nil {
				return err
			}
		}
	}
	for name := range wanted.maps {
		if err := p.change(p.vmap(name), before.maps[name], wanted.maps[name]); err != nil {
			return err
		}
	}
	return p.commit()
}

// change writes the elements of a map that differ.
func (p *proxy) change(m *nft.Set, before, wanted map[key]string) error {
	var gone, fresh []nft.SetElement
	for k, chain := range before {
		if wanted[k] != chain {
			gone = append(gone, leads(k, chain))
		}
	}
	for k, chain := range wanted {
		if before[k] != chain {
			fresh = append(fresh, leads(k, chain))
		}
	}
	for some := range slices.Chunk(gone, chunk) {
		if err := p.kernel.SetDeleteElements(m, some); err != nil {
			return err
		}
	}
	for some := range slices.Chunk(fresh, chunk) {
		if err := p.kernel.SetAddElements(m, some); err != nil {
			return err
		}
	}
	return nil
}

// sweep deletes chains and sets that nothing leads to any more. Until Linux 6.2 an
// element of a map holds its chain for a moment after it was deleted: then they are
// left for the next time.
func (p *proxy) sweep(before, wanted ruleset) error {
	for name, rules := range before.chains {
		if _, ok := wanted.chains[name]; !ok {
			p.stale.chains[name] = rules
		}
	}
	for name, remembered := range before.affinity {
		if _, ok := wanted.affinity[name]; !ok {
			p.stale.affinity[name] = remembered
		}
	}
	for name := range p.stale.chains {
		p.kernel.FlushChain(p.chain(name)) // all first: they lead to one another
	}
	for name := range p.stale.chains {
		p.kernel.DelChain(p.chain(name))
	}
	for name := range p.stale.affinity {
		p.kernel.DelSet(p.addresses(name))
	}
	err := p.commit()
	if errors.Is(err, unix.EBUSY) {
		return nil
	}
	p.stale = newRuleset()
	return err
}

// Drops reads the counters of the refusing chains.
func (p *proxy) Drops(context.Context) (map[kubeproxy.Reason]uint64, error) {
	objects, err := p.kernel.GetObjects(p.table)
	if err != nil {
		return nil, err
	}
	drops := map[kubeproxy.Reason]uint64{}
	for _, o := range objects {
		if counter, ok := o.(*nft.CounterObj); ok {
			drops[kubeproxy.Reason(counter.Name)] = counter.Packets
		}
	}
	return drops, nil
}

// Close lets go of the socket. The rules go with the node.
func (p *proxy) Close() error { return p.kernel.CloseLasting() }
