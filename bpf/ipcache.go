package bpf

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Entity is what the cluster knows of an address.
type Entity uint8

// The entities. An address in no prefix is of the world.
const (
	EntityWorld = Entity(hostEntityENTITY_WORLD)
	EntityPod   = Entity(hostEntityENTITY_POD)  // pods of any node: never masqueraded towards
	EntityNode  = Entity(hostEntityENTITY_NODE) // a node's own address: never masqueraded towards
)

var entityNames = []string{EntityWorld: "world", EntityPod: "pod", EntityNode: "node"}

func (e Entity) String() string { return nameOf(entityNames, int(e), "Entity") }

// PutPrefix tells what the addresses of prefix are. The longest prefix wins.
func (n *Node) PutPrefix(prefix netip.Prefix, entity Entity) error {
	if !prefix.IsValid() {
		return fmt.Errorf("bpf: prefix %s is none: give an address and its length", prefix)
	}
	value := hostIdentity{Entity: hostEntity(entity)}
	if err := n.Maps.IPCache.Put(rawPrefix(prefix), value); err != nil {
		return fmt.Errorf("bpf: prefix %s: %w", prefix, err)
	}
	return nil
}

// DeletePrefix forgets a prefix.
func (n *Node) DeletePrefix(prefix netip.Prefix) error {
	if err := n.Maps.IPCache.Delete(rawPrefix(prefix)); err != nil {
		return fmt.Errorf("bpf: prefix %s: %w", prefix, err)
	}
	return nil
}

func rawPrefix(prefix netip.Prefix) hostPrefix {
	prefix = prefix.Masked()
	raw := hostPrefix{Bits: uint32(prefix.Bits())}
	if prefix.Addr().Is4() {
		raw.Bits += 96 // IPv4-mapped
	}
	bytes := prefix.Addr().As16()
	for i := range raw.Words {
		raw.Words[i] = binary.NativeEndian.Uint32(bytes[4*i:])
	}
	return raw
}
