package nftables

import (
	"net/netip"
	"slices"

	nft "github.com/google/nftables"
	"github.com/google/nftables/expr"

	"github.com/skbench/skbench/topo"
)

// commit has the kernel carry out what was written since the last time: all of it,
// or nothing.
func (p *proxy) commit() error {
	p.sets = 0
	return p.kernel.Flush()
}

func (p *proxy) chain(name string) *nft.Chain { return &nft.Chain{Table: p.table, Name: name} }

// fill adds rules to a chain.
func (p *proxy) fill(chain string, rules []statement) error {
	for _, r := range rules {
		exprs := r.exprs
		if len(r.among) > 0 {
			choices := p.set(nft.Set{Name: "__map%d", Anonymous: true, Constant: true, IsMap: true, KeyType: nft.TypeInteger, DataType: nft.TypeVerdict})
			if err := p.kernel.AddSet(choices, r.among); err != nil {
				return err
			}
			exprs = append(slices.Clone(exprs), verdictOf(choices.Name, choices.ID))
		}
		p.kernel.AddRule(&nft.Rule{Table: p.table, Chain: p.chain(chain), Exprs: exprs})
	}
	return nil
}

// addresses is a set of addresses.
func (p *proxy) addresses(name string) *nft.Set {
	return p.set(nft.Set{Name: name, KeyType: p.address()})
}

// vmap is one of the maps of the ruleset.
func (p *proxy) vmap(name string) *nft.Set {
	parts := []nft.SetDatatype{nft.TypeInetProto, nft.TypeInetService}
	if slices.Contains(mapsOfAddresses, name) {
		parts = append([]nft.SetDatatype{p.address()}, parts...)
	}
	return p.set(nft.Set{Name: name, IsMap: true, KeyType: nft.MustConcatSetType(parts...), DataType: nft.TypeVerdict})
}

func (p *proxy) address() nft.SetDatatype {
	if p.node.Family == topo.IPv6 {
		return nft.TypeIP6Addr
	}
	return nft.TypeIPAddr
}

// set numbers a set, by which rules of the same transaction may name it. The library
// would count on over all sockets, which are used at once.
func (p *proxy) set(s nft.Set) *nft.Set {
	p.sets++
	s.Table, s.ID = p.table, p.sets
	return &s
}

func elements(addrs []netip.Addr) (all []nft.SetElement) {
	for _, a := range addrs {
		all = append(all, nft.SetElement{Key: a.AsSlice()})
	}
	return all
}

// leads is the element of a map that leads to a chain.
func leads(k key, chain string) nft.SetElement {
	return nft.SetElement{Key: k.bytes(), VerdictData: &expr.Verdict{Kind: expr.VerdictGoto, Chain: chain}}
}
