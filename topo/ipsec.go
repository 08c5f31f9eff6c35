package topo

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// AES-128 in GCM with a full tag, and the salt behind the key (RFC 4106).
const (
	espCipher   = "rfc4106(gcm(aes))"
	espKeyBytes = 16 + 4
	espTagBits  = 128
)

// A tunnel leads what goes from one node's pods to another's, in one family.
type tunnel struct {
	from, to Node
	family   Family
	spi      int
	key      []byte
}

func (u tunnel) ends() (from, to net.IP) {
	if u.family == IPv4 {
		return u.from.IPv4.AsSlice(), u.to.IPv4.AsSlice()
	}
	return u.from.IPv6.AsSlice(), u.to.IPv6.AsSlice()
}

func (u tunnel) pods() (from, to *net.IPNet) {
	if u.family == IPv4 {
		return ipNet(u.from.PodsIPv4), ipNet(u.to.PodsIPv4)
	}
	return ipNet(u.from.PodsIPv6), ipNet(u.to.PodsIPv6)
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// encryptByIPsec makes a tunnel from each node to each other, at both of its ends.
func (n *Network) encryptByIPsec() error {
	spi := 0x1000 // lower ones are reserved (RFC 4303, 2.1)
	for _, from := range n.topology.Nodes {
		for _, to := range n.topology.Nodes {
			if from.Name == to.Name {
				continue
			}
			for _, family := range []Family{IPv4, IPv6} {
				u := tunnel{from: from, to: to, family: family, spi: spi, key: make([]byte, espKeyBytes)}
				spi++
				if _, err := rand.Read(u.key); err != nil {
					return err
				}
				err := errors.Join(u.add(n.byName[from.Name], netlink.XFRM_DIR_OUT), u.add(n.byName[to.Name], netlink.XFRM_DIR_FWD))
				if err != nil {
					return fmt.Errorf("making the IPsec tunnel from %s to %s: %w", from.Name, to.Name, err)
				}
			}
		}
	}
	return nil
}

// add puts the tunnel on a machine, which sends by it (out) or forwards what came by it (fwd): nothing else from these pods is let through there.
func (u tunnel) add(m *Machine, dir netlink.Dir) error {
	handle, err := netlink.NewHandleAt(m.ns, unix.NETLINK_XFRM)
	if err != nil {
		return err
	}
	defer handle.Close()
	src, dst := u.ends()
	state := &netlink.XfrmState{
		Src: src, Dst: dst, Proto: netlink.XFRM_PROTO_ESP, Mode: netlink.XFRM_MODE_TUNNEL, Spi: u.spi, Reqid: u.spi, ReplayWindow: 32,
		Aead: &netlink.XfrmStateAlgo{Name: espCipher, Key: u.key, ICVLen: espTagBits},
	}
	if err := handle.XfrmStateAdd(state); err != nil {
		return err
	}
	srcPods, dstPods := u.pods()
	return handle.XfrmPolicyAdd(&netlink.XfrmPolicy{
		Src: srcPods, Dst: dstPods, Dir: dir,
		Tmpls: []netlink.XfrmPolicyTmpl{{Src: src, Dst: dst, Proto: netlink.XFRM_PROTO_ESP, Mode: netlink.XFRM_MODE_TUNNEL, Reqid: u.spi}},
	})
}
