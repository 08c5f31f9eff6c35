package feature

import (
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// addNftables writes a table with every kind of chain, set and expression that the nftables datapath uses, into the thread's namespace.
func addNftables() error {
	kernel, err := nftables.New()
	if err != nil {
		return err
	}
	table := kernel.AddTable(&nftables.Table{Name: "probe", Family: nftables.TableFamilyIPv4})
	kernel.AddObj(&nftables.CounterObj{Table: table, Name: "dropped"})
	clients := &nftables.Set{Table: table, Name: "clients", KeyType: nftables.TypeIPAddr, Dynamic: true, HasTimeout: true, Size: 1, ID: 1}
	services := &nftables.Set{Table: table, Name: "services", KeyType: nftables.TypeInteger, DataType: nftables.TypeVerdict, IsMap: true, ID: 2}
	for _, set := range []*nftables.Set{clients, services} {
		if err := kernel.AddSet(set, nil); err != nil {
			return err
		}
	}
	for _, chain := range []struct {
		kind     nftables.ChainType
		hook     *nftables.ChainHook
		priority *nftables.ChainPriority
		exprs    []expr.Any
	}{
		{nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest, []expr.Any{
			&expr.Fib{Register: unix.NFT_REG_1, FlagDADDR: true, ResultADDRTYPE: true},
			&expr.Numgen{Register: unix.NFT_REG_1, Modulus: 2, Type: unix.NFT_NG_RANDOM},
			&expr.Lookup{SourceRegister: unix.NFT_REG_1, IsDestRegSet: true, SetName: services.Name},
			&expr.Dynset{SrcRegKey: unix.NFT_REG_1, SetName: clients.Name, Operation: unix.NFT_DYNSET_OP_UPDATE},
			&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: unix.NFT_REG_1},
		}},
		{nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource, []expr.Any{
			&expr.Meta{Key: expr.MetaKeyMARK, Register: unix.NFT_REG_1},
			&expr.Bitwise{SourceRegister: unix.NFT_REG_1, DestRegister: unix.NFT_REG_1, Len: 4, Mask: u32(1), Xor: u32(0)},
			&expr.Masq{FullyRandom: true},
		}},
		{nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter, []expr.Any{
			&expr.Ct{Key: expr.CtKeySTATE, Register: unix.NFT_REG_1},
			&expr.Objref{Type: int(nftables.ObjTypeCounter), Name: "dropped"},
			&expr.Reject{Type: unix.NFT_REJECT_ICMP_UNREACH, Code: 3},
		}},
	} {
		c := kernel.AddChain(&nftables.Chain{Table: table, Name: fmt.Sprint("hook", *chain.hook), Type: chain.kind, Hooknum: chain.hook, Priority: chain.priority})
		kernel.AddRule(&nftables.Rule{Table: table, Chain: c, Exprs: chain.exprs})
	}
	return asNo(kernel.Flush(), unix.ENOENT, unix.EOPNOTSUPP, unix.EPROTONOSUPPORT)
}
