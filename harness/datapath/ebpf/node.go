package ebpf

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness/feature"
	"github.com/skbench/skbench/topo"
)

// labSizes are the sizes of maps where thirty nodes may share a machine.
var labSizes = bpf.MapSizes{
	Flows: 16384, Services: 32768, Slots: 262144, Backends: 16384, Clients: 4096, Sources: 4096, Sockets: 4096, Sessions: 4096, Pods: 256, Prefixes: 4096,
}

// node is the datapath on one node: its programs, its maps, and where they are
// attached.
type node struct {
	topo.Node
	machine     *topo.Machine
	clients     []*topo.Machine // whose sockets the programs see: the node, its pods
	programs    *bpf.Node
	attachments []*topo.Attachment
	served      map[bpf.Frontend]bpf.Service
	maglev      int // entries of the services' Maglev tables; 0: random choice
	dsr         bool
	mtu         int                  // of the NIC; 0: the default
	expected    map[place]bpf.Direct // by direct server return
	encryption  topo.Encryption
}

// load loads the node's programs.
func (n *node) load(d *datapath, events *ebpf.Map) error {
	nic, err := n.machine.Device(topo.NIC)
	if err != nil {
		return err
	}
	cookie, err := n.machine.NetNSCookie()
	if err != nil {
		return err
	}
	var wireGuard topo.Device
	if n.encryption == topo.WireGuard {
		if wireGuard, err = n.machine.Device(topo.WireGuardDevice); err != nil {
			return err
		}
	}
	sizes := d.sizes
	if d.maglev != 0 {
		sizes.Slots = max(sizes.Slots, uint32(64*d.maglev)) // services with other backends than the rest, twice while they change
	}
	n.programs, err = bpf.Load(bpf.Config{
		IPv4: n.IPv4, IPv6: n.IPv6,
		GatewayIPv4: n.GatewayIPv4, GatewayIPv6: n.GatewayIPv6,
		NIC: nic.Index, NICMAC: nic.MAC, NetNSCookie: cookie,
		SNATPorts:            d.snatPorts,
		DSR:                  d.dsr,
		MTU:                  n.mtu,
		WireGuard:            wireGuard.Index,
		IPsec:                n.encryption == topo.IPsec,
		Trace:                d.trace,
		Delay:                d.delay,
		WithoutRedirectPeer:  d.withoutHelpers || lacks(feature.RedirectPeer),
		WithoutRedirectNeigh: d.withoutHelpers || lacks(feature.RedirectNeigh),
		WithoutSetRetval:     lacks(feature.SetRetval),
	}, bpf.Options{
		Events: events, Sizes: sizes,
		WithoutXDP:           d.withoutXDP,
		WithoutSockets:       d.withoutSockets || lacks(feature.EBPFSockets),
		RedirectSessions:     d.redirected,
		WithoutSocketRelease: lacks(feature.SocketCookie),
	})
	return err
}

// lacks says whether the kernel is known not to have a feature.
func lacks(f *feature.Feature) bool { return f.Check().State == feature.No }

// learn tells the programs, and the node's kernel, who is in the cluster.
func (n *node) learn(d *datapath, t topo.Topology) error {
	// The node's own sockets must stay clear of the ports that SNAT takes.
	if err := n.machine.Sysctl("net.ipv4.ip_local_reserved_ports", d.snatPorts.String()); err != nil {
		return err
	}
	for _, pod := range t.Pods {
		if pod.Node != n.Name {
			continue
		}
		device, err := n.machine.Device(pod.Device)
		if err != nil {
			return err
		}
		endpoint := bpf.Endpoint{
			Device: device.Index, MAC: pod.MAC, DeviceMAC: device.MAC, IPv4: pod.IPv4, IPv6: pod.IPv6,
			OnWire: slices.Contains(d.onWire, pod.Name),
		}
		if err := n.programs.PutEndpoint(endpoint); err != nil {
			return err
		}
	}
	for _, pods := range []netip.Prefix{topo.ClusterIPv4, topo.ClusterIPv6} {
		if err := n.programs.PutPrefix(pods, bpf.EntityPod); err != nil {
			return err
		}
	}
	for _, other := range t.Nodes {
		if err := n.meet(other); err != nil {
			return err
		}
	}
	return nil
}

// meet makes another node known. The kernel is told its MAC, since XDP cannot
// wait for the kernel to ask: the first packet would take the way through TC.
func (n *node) meet(other topo.Node) error {
	for _, addr := range []netip.Addr{other.IPv4, other.IPv6} {
		if err := n.programs.PutPrefix(netip.PrefixFrom(addr, addr.BitLen()), bpf.EntityNode); err != nil {
			return err
		}
		if other.Name == n.Name {
			continue
		}
		if err := n.machine.NeighbourAdd(addr, other.MAC); err != nil {
			return err
		}
	}
	return nil
}

// attach attaches the pods' programs first, so that no packet reaches the NIC's
// programs that they could not pass on.
func (n *node) attach(d *datapath, t topo.Topology) error {
	p := n.programs.Programs
	for _, pod := range t.Pods {
		if pod.Node != n.Name {
			continue
		}
		if err := n.attachTC(p.FromContainer, p.ToContainer, pod.Device, d.tcMode); err != nil {
			return err
		}
	}
	if err := n.attachTC(p.FromNetdev, p.ToNetdev, topo.NIC, d.tcMode); err != nil {
		return err
	}
	if p.FromNetwork != nil {
		if err := n.hold(n.machine.AttachTC(p.FromNetwork, topo.WireGuardDevice, topo.In, d.tcMode)); err != nil {
			return err
		}
	}
	for _, s := range p.Sockets {
		if err := n.hold(n.machine.AttachCgroup(s.Program, s.Place)); err != nil {
			return err
		}
	}
	if d.withoutXDP {
		return nil
	}
	return n.hold(n.machine.AttachXDP(p.XDPEntry, topo.NIC, d.xdpMode))
}

// attachTC attaches what a device receives and what it sends to a program each.
func (n *node) attachTC(in, out *ebpf.Program, device string, mode topo.TCMode) error {
	if err := n.hold(n.machine.AttachTC(in, device, topo.In, mode)); err != nil {
		return err
	}
	return n.hold(n.machine.AttachTC(out, device, topo.Out, mode))
}

// hold keeps an attachment until the node is closed.
func (n *node) hold(a *topo.Attachment, err error) error {
	if err == nil {
		n.attachments = append(n.attachments, a)
	}
	return err
}

func (n *node) close() error {
	var errs []error
	for _, a := range n.attachments {
		errs = append(errs, a.Close())
	}
	if n.programs != nil {
		errs = append(errs, n.programs.Close())
	}
	return errors.Join(errs...)
}
