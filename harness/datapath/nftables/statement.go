package nftables

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	nft "github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/harness/datapath/kubeproxy"
	"github.com/skbench/skbench/topo"
)

// statement is a rule or a part of one, as nft(8) spells it and as the kernel takes
// it: expressions that load from the packet into registers and compare there, the
// first that does not match ending the rule.
type statement struct {
	text  string
	exprs []expr.Any
	among []nft.SetElement // of the map that the rule brings along, see pick
}

// rule joins statements.
func rule(parts ...statement) (r statement) {
	texts := make([]string, len(parts))
	for i, p := range parts {
		texts[i] = p.text
		r.exprs = append(r.exprs, p.exprs...)
		r.among = append(r.among, p.among...)
	}
	r.text = strings.Join(texts, " ")
	return r
}

// Registers. The kernel has 16 of four bytes; by the older names register 1 is the
// first four of them, register 2 the next.
const (
	register1 = unix.NFT_REG_1
	register2 = unix.NFT_REG_2
	word0     = unix.NFT_REG32_00 // the first word of register 1
)

// ip is the family's name in rules.
func ip(f topo.Family) string {
	if f == topo.IPv6 {
		return "ip6"
	}
	return "ip"
}

// side is an address of the IP header.
type side struct {
	name string
	v4   uint32 // offsets in bytes
	v6   uint32
}

var (
	saddr = side{"saddr", 12, 8}
	daddr = side{"daddr", 16, 24}
)

// load loads an address into register 1.
func (s side) load(f topo.Family) expr.Any {
	offset, length := s.v4, uint32(4)
	if f == topo.IPv6 {
		offset, length = s.v6, 16
	}
	return &expr.Payload{DestRegister: register1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: length}
}

// is matches an address.
func (s side) is(addr netip.Addr) statement {
	f := familyOf(addr)
	return statement{
		text:  fmt.Sprintf("%s %s %s", ip(f), s.name, addr),
		exprs: []expr.Any{s.load(f), equal(addr.AsSlice())},
	}
}

// in matches the addresses of a network, notIn all others.
func (s side) in(p netip.Prefix) statement    { return s.within(p, "", expr.CmpOpEq) }
func (s side) notIn(p netip.Prefix) statement { return s.within(p, "!= ", expr.CmpOpNeq) }

func (s side) within(p netip.Prefix, operator string, op expr.CmpOp) statement {
	f, length := familyOf(p.Addr()), p.Addr().BitLen()/8
	mask := make([]byte, length)
	for bit := range p.Bits() {
		mask[bit/8] |= 0x80 >> (bit % 8)
	}
	text := p.Masked().String()
	if p.IsSingleIP() {
		text = p.Addr().String()
	}
	return statement{
		text: fmt.Sprintf("%s %s %s%s", ip(f), s.name, operator, text),
		exprs: []expr.Any{
			s.load(f),
			&expr.Bitwise{SourceRegister: register1, DestRegister: register1, Len: uint32(length), Mask: mask, Xor: make([]byte, length)},
			&expr.Cmp{Op: op, Register: register1, Data: p.Masked().Addr().AsSlice()},
		},
	}
}

// inSet matches the addresses of a set.
func (s side) inSet(f topo.Family, set string) statement {
	return statement{
		text:  fmt.Sprintf("%s %s @%s", ip(f), s.name, set),
		exprs: []expr.Any{s.load(f), &expr.Lookup{SourceRegister: register1, SetName: set}},
	}
}

// isLocal matches the node's own addresses.
func (s side) isLocal() statement {
	return statement{
		text: fmt.Sprintf("fib %s type local", s.name),
		exprs: []expr.Any{
			&expr.Fib{Register: register1, ResultADDRTYPE: true, FlagSADDR: s == saddr, FlagDADDR: s == daddr},
			equal(host32(unix.RTN_LOCAL)),
		},
	}
}

func familyOf(addr netip.Addr) topo.Family {
	if addr.Is4() {
		return topo.IPv4
	}
	return topo.IPv6
}

func equal(data []byte) expr.Any {
	return &expr.Cmp{Op: expr.CmpOpEq, Register: register1, Data: data}
}

// Numbers of marks, protocols and the like are in host byte order, ports in that of
// the network.
func host32(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }
func net16(n uint16) []byte  { return binary.BigEndian.AppendUint16(nil, n) }

var protocols = map[string]byte{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP}

// isProtocol matches a transport protocol.
func isProtocol(name string) statement {
	return statement{
		text:  "meta l4proto " + name,
		exprs: []expr.Any{loadProtocol(register1), equal([]byte{protocols[name]})},
	}
}

// toPort matches a port of a transport protocol.
func toPort(protocol string, port uint16) statement {
	return statement{
		text:  fmt.Sprintf("%s dport %d", protocol, port),
		exprs: append(isProtocol(protocol).exprs, loadPort(register1), equal(net16(port))),
	}
}

func loadProtocol(register uint32) expr.Any {
	return &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register}
}

func loadPort(register uint32) expr.Any {
	return &expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}
}

// byAddress goes where a map says for the packet's destination: address, protocol
// and port, each in registers of its own.
func byAddress(f topo.Family, name string) statement {
	next := uint32(word0 + 1)
	if f == topo.IPv6 {
		next = word0 + 4
	}
	return statement{
		text:  fmt.Sprintf("%s daddr . meta l4proto . th dport vmap @%s", ip(f), name),
		exprs: []expr.Any{daddr.load(f), loadProtocol(next), loadPort(next + 1), verdictOf(name, 0)},
	}
}

// byPort goes where a map says for the packet's protocol and destination port.
func byPort(name string) statement {
	return statement{
		text:  fmt.Sprintf("meta l4proto . th dport vmap @%s", name),
		exprs: []expr.Any{loadProtocol(register1), loadPort(word0 + 1), verdictOf(name, 0)},
	}
}

// verdictOf looks register 1 up in a map of verdicts, by its name or, where it was
// made in the same transaction and has none yet, its number.
func verdictOf(name string, id uint32) expr.Any {
	return &expr.Lookup{SourceRegister: register1, DestRegister: unix.NFT_REG_VERDICT, IsDestRegSet: true, SetName: name, SetID: id}
}

// pick goes to one of some chains, to each with equal chances. The map of the chains
// belongs to the rule; it is made together with it, and numbered then.
func pick(chains []string) statement {
	var choices []string
	var among []nft.SetElement
	for i, chain := range chains {
		choices = append(choices, fmt.Sprintf("%d : goto %s", i, chain))
		among = append(among, nft.SetElement{Key: host32(uint32(i)), VerdictData: &expr.Verdict{Kind: expr.VerdictGoto, Chain: chain}})
	}
	return statement{
		text:  fmt.Sprintf("numgen random mod %d vmap { %s }", len(chains), strings.Join(choices, ", ")),
		exprs: []expr.Any{&expr.Numgen{Register: register1, Modulus: uint32(len(chains)), Type: unix.NFT_NG_RANDOM}},
		among: among,
	}
}

// tracked matches packets by what connection tracking thinks of them.
func tracked(state string) statement {
	bits := map[string]uint32{"invalid": expr.CtStateBitINVALID, "new": expr.CtStateBitNEW}
	return statement{
		text: "ct state " + state,
		exprs: []expr.Any{
			&expr.Ct{Key: expr.CtKeySTATE, Register: register1},
			&expr.Bitwise{SourceRegister: register1, DestRegister: register1, Len: 4, Mask: host32(bits[state]), Xor: host32(0)},
			&expr.Cmp{Op: expr.CmpOpNeq, Register: register1, Data: host32(0)},
		},
	}
}

// verdict ends a rule, and perhaps the chain.
func verdict(text string, kind expr.VerdictKind, chain string) statement {
	return statement{text: text, exprs: []expr.Any{&expr.Verdict{Kind: kind, Chain: chain}}}
}

func jump(chain string) statement { return verdict("jump "+chain, expr.VerdictJump, chain) }
func goTo(chain string) statement { return verdict("goto "+chain, expr.VerdictGoto, chain) }

var (
	giveBack = verdict("return", expr.VerdictReturn, "")
	drop     = verdict("drop", expr.VerdictDrop, "")
)

// reject drops the packet and tells its sender: port unreachable.
func reject(f topo.Family) statement {
	code := uint8(3) // of ICMP
	if f == topo.IPv6 {
		code = 4
	}
	return statement{text: "reject", exprs: []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_ICMP_UNREACH, Code: code}}}
}

// count counts the packet among those of a reason.
func count(reason kubeproxy.Reason) statement {
	return statement{
		text:  fmt.Sprintf("counter name %q", reason),
		exprs: []expr.Any{&expr.Objref{Type: int(nft.ObjTypeCounter), Name: string(reason)}},
	}
}

// The masquerade bit of the packet's mark: set, taken out again, not there.
var (
	setMark   = changeMark("|", ^uint32(kubeproxy.MasqueradeBit), kubeproxy.MasqueradeBit)
	clearMark = changeMark("^", ^uint32(0), kubeproxy.MasqueradeBit)
	unmarked  = statement{
		text: fmt.Sprintf("meta mark & 0x%08x == 0x00000000", kubeproxy.MasqueradeBit),
		exprs: []expr.Any{
			&expr.Meta{Key: expr.MetaKeyMARK, Register: register1},
			&expr.Bitwise{SourceRegister: register1, DestRegister: register1, Len: 4, Mask: host32(kubeproxy.MasqueradeBit), Xor: host32(0)},
			equal(host32(0)),
		},
	}
)

// changeMark makes the mark (mark & mask) ^ xor.
func changeMark(operator string, mask, xor uint32) statement {
	return statement{
		text: fmt.Sprintf("meta mark set meta mark %s 0x%08x", operator, xor),
		exprs: []expr.Any{
			&expr.Meta{Key: expr.MetaKeyMARK, Register: register1},
			&expr.Bitwise{SourceRegister: register1, DestRegister: register1, Len: 4, Mask: host32(mask), Xor: host32(xor)},
			&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: register1},
		},
	}
}

// masquerade gives the packet the address of the device that it leaves by, and a
// port at random.
var masquerade = statement{text: "masquerade fully-random", exprs: []expr.Any{&expr.Masq{FullyRandom: true}}}

// remember puts the client into a set, or makes its time begin anew.
func remember(f topo.Family, set string) statement {
	return statement{
		text:  fmt.Sprintf("update @%s { %s saddr }", set, ip(f)),
		exprs: []expr.Any{saddr.load(f), &expr.Dynset{SrcRegKey: register1, SetName: set, Operation: unix.NFT_DYNSET_OP_UPDATE}},
	}
}

// translateTo sends the flow to an endpoint.
func translateTo(e netip.AddrPort) statement {
	nfproto := uint32(unix.NFPROTO_IPV4)
	if e.Addr().Is6() {
		nfproto = unix.NFPROTO_IPV6
	}
	return statement{
		text: "dnat to " + e.String(),
		exprs: []expr.Any{
			&expr.Immediate{Register: register1, Data: e.Addr().AsSlice()},
			&expr.Immediate{Register: register2, Data: net16(e.Port())},
			&expr.NAT{Type: expr.NATTypeDestNAT, Family: nfproto, RegAddrMin: register1, RegProtoMin: register2},
		},
	}
}
