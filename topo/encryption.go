package topo

import (
	"crypto/ecdh"
	"crypto/rand"
	"fmt"
	"net/netip"
)

// Encryption is what nodes do to packets between their pods, before these go over the underlay. Packets of the nodes' own, and those
// that come from outside of the cluster, go over it as they are.
type Encryption uint8

const (
	// NoEncryption sends them as they are.
	NoEncryption Encryption = iota
	// WireGuard routes the pods of other nodes by a device WireGuardDevice, whose peers are the other nodes.
	WireGuard
	// IPsec has the kernel's policies (xfrm) wrap what goes from one node's pods to another's in ESP, in tunnel mode.
	IPsec
)

// String is "WireGuard", "IPsec" or "no encryption".
func (e Encryption) String() string {
	switch e {
	case WireGuard:
		return "WireGuard"
	case IPsec:
		return "IPsec"
	}
	return "no encryption"
}

// WireGuardDevice is a node's device of that kind, where its topology has such encryption.
const WireGuardDevice = "wg0"

// WireGuardPort is the UDP port that nodes receive by.
const WireGuardPort = 51820

// wireGuardOverhead is what an IPv6 packet with UDP, WireGuard's header and its authentication adds, and so the most.
const wireGuardOverhead = 80

// Encrypted is the same topology with the packets between nodes' pods encrypted.
//
//	lab := harness.Start(t, topo.Cluster(2).Encrypted(topo.WireGuard), ebpf.Datapath())
func (t Topology) Encrypted(by Encryption) Topology {
	t.Encryption = by
	return t
}

func (t Topology) validateEncryption() error {
	switch {
	case t.Encryption > IPsec:
		return fmt.Errorf("encryption %d is none: take WireGuard, IPsec or NoEncryption", t.Encryption)
	case t.Encryption == WireGuard && t.mtu()-wireGuardOverhead < minMTU:
		return fmt.Errorf("an MTU of %d leaves too little for IPv6 inside WireGuard: make it %d or more", t.mtu(), minMTU+wireGuardOverhead)
	}
	return nil
}

// addWireGuard gives every node its device, which is none of a veth pair.
func (n *Network) addWireGuard() {
	if n.topology.Encryption != WireGuard {
		return
	}
	for _, node := range n.topology.Nodes {
		m := n.byName[node.Name]
		m.wireGuard = Device{Machine: m.name, Name: WireGuardDevice, Index: firstIndex + len(n.devices)}
		n.devices = append(n.devices, m.wireGuard)
	}
}

// wayToPods is a node's route to the pods of another.
func (n *Network) wayToPods(m *Machine, pods netip.Prefix, other, own netip.Addr) route {
	if n.topology.Encryption == WireGuard {
		return route{device: m.wireGuard, prefix: pods, source: own}
	}
	return route{device: m.nic(), prefix: pods, via: []netip.Addr{other}}
}

// encrypt makes what encrypts: between every two nodes, under keys that nobody keeps.
func (n *Network) encrypt() error {
	switch n.topology.Encryption {
	case WireGuard:
		return n.encryptByWireGuard()
	case IPsec:
		return n.encryptByIPsec()
	}
	return nil
}

func (n *Network) encryptByWireGuard() error {
	keys := map[string]*ecdh.PrivateKey{}
	for _, node := range n.topology.Nodes {
		key, err := ecdh.X25519().GenerateKey(rand.Reader)
		if err != nil {
			return err
		}
		keys[node.Name] = key
	}
	for _, node := range n.topology.Nodes {
		m := n.byName[node.Name]
		var peers []wireGuardPeer
		for _, other := range n.topology.Nodes {
			if other.Name == node.Name {
				continue
			}
			peers = append(peers, wireGuardPeer{
				key: keys[other.Name].PublicKey().Bytes(), endpoint: netip.AddrPortFrom(other.IPv4, WireGuardPort),
				// The other node's own address is that of packets which it masquerades for its pods' sake.
				allowed: []netip.Prefix{other.PodsIPv4, other.PodsIPv6, single(other.IPv4), single(other.IPv6)},
			})
		}
		if err := m.rtnl.do(newWireGuard(m.wireGuard, n.topology.mtu()-wireGuardOverhead)); err != nil {
			return err
		}
		if err := m.Do(func() error { return setWireGuard(m.wireGuard, keys[node.Name].Bytes(), peers) }); err != nil {
			return fmt.Errorf("telling %s its peers: %w", m.wireGuard, err)
		}
		if !n.topology.Offloads { // GRO would merge what was decrypted, and leave its checksum to be computed.
			if err := ethtool(m.rtnl.fd, WireGuardDevice, setGRO, 0); err != nil {
				return fmt.Errorf("turning GRO of %s off: %w", m.wireGuard, err)
			}
		}
		requests := append([]request{linkUp(m.wireGuard.Index, m.wireGuard.String(), true)}, m.configuration(m.wireGuard)...)
		if err := m.rtnl.do(requests...); err != nil {
			return err
		}
	}
	return nil
}
