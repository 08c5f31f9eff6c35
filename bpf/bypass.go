package bpf

import (
	"encoding/binary"
	"fmt"
)

// markBackend has programs remember flows that go to a backend past its services: see lib/bypass.h. For good.
func (n *Node) markBackend(b Frontend) error {
	hash := hostTuple{Daddr: rawAddr(b.Addr.Addr()), Dport: rawPort(b.Addr.Port()), Proto: uint8(b.Protocol)}.hash() * 0x9e3779b1
	number, word, bit := hash>>26, hash>>19%128, uint64(1)<<(hash>>13%64)
	known := &n.services.known[number]
	if known.Words[word]&bit != 0 {
		return nil
	}
	known.Words[word] |= bit
	if err := n.maps[hostMapBackendBits].Put(number, known); err != nil {
		known.Words[word] &^= bit
		return fmt.Errorf("backend %s: %w", b, err)
	}
	return nil
}

// hash is tuple_hash.
func (t hostTuple) hash() uint32 {
	hash := uint64(t.Sport)<<48 | uint64(t.Dport)<<32 | uint64(t.Proto)
	for _, addr := range []hostAddr{t.Saddr, t.Daddr} {
		for half := range 2 {
			hash = (hash ^ binary.LittleEndian.Uint64(addr.Bytes[8*half:])) * 0x9e3779b97f4a7c15
			hash ^= hash >> 32
		}
	}
	return uint32(hash)
}
