package bpf_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The addresses of the tests: node 1 with its pods a and b, beside it node 2, the client, and a gateway to the rest.
var (
	node1   = host("172.16.0.1", "fd00:172:16::1", "02:01:00:00:00:01")
	node2   = host("172.16.0.2", "fd00:172:16::2", "02:01:00:00:00:02")
	client  = host("172.31.0.1", "fd00:172:31::1", "02:02:00:00:00:01")
	silent  = host("172.31.0.9", "fd00:172:31::9", "02:02:00:00:00:09") // the kernel does not know its MAC
	gateway = host("172.16.0.254", "fd00:172:16::254", "02:02:00:00:00:fe")
	world   = host("198.51.100.7", "2001:db8::7", "02:02:00:00:00:fe") // behind the gateway

	podA    = host("10.0.1.1", "fd00:10:0:1::1", "02:03:00:01:00:01")
	podB    = host("10.0.1.2", "fd00:10:0:1::2", "02:03:00:02:00:01")
	lxcA    = host("10.0.1.254", "fd00:10:0:1::254", "02:04:00:01:00:01")
	lxcB    = host("10.0.1.254", "fd00:10:0:1::254", "02:04:00:02:00:01")
	remote  = host("10.0.2.1", "fd00:10:0:2::1", "02:01:00:00:00:02") // a pod of node 2
	remote2 = host("10.0.2.2", "fd00:10:0:2::2", "02:01:00:00:00:02") // another one
)

// machine is one end of a conversation: its addresses, and the MAC that frames from and to it carry on the node's wire.
type machine struct {
	ipv4, ipv6 netip.Addr
	mac        net.HardwareAddr
}

func host(ipv4, ipv6, mac string) machine {
	hw, _ := net.ParseMAC(mac)
	return machine{netip.MustParseAddr(ipv4), netip.MustParseAddr(ipv6), hw}
}

func (m machine) addr(f family) netip.Addr {
	if f == v6 {
		return m.ipv6
	}
	return m.ipv4
}

// at is the machine's address with a port, or the identifier of an echo.
func (m machine) at(f family, port uint16) netip.AddrPort { return netip.AddrPortFrom(m.addr(f), port) }

// namespace is a network namespace that a thread of its own holds: everything that needs it runs there.
type namespace struct {
	work chan func()
	done chan struct{}
}

func newNamespace(t testing.TB) *namespace {
	ns := &namespace{work: make(chan func()), done: make(chan struct{})}
	started := make(chan error)
	go func() {
		defer close(ns.done)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine, and the namespace with the thread
		err := unix.Unshare(unix.CLONE_NEWNET)
		started <- err
		if err != nil {
			return
		}
		for work := range ns.work {
			work()
		}
	}()
	require.NoError(t, <-started, "a network namespace: are you root?")
	t.Cleanup(func() {
		close(ns.work)
		<-ns.done
	})
	return ns
}

// do runs f in the namespace.
func (ns *namespace) do(f func()) {
	finished := make(chan struct{})
	ns.work <- func() {
		defer close(finished)
		f()
	}
	<-finished
}

// try runs f in the namespace and fails the test with its error.
func (ns *namespace) try(t testing.TB, f func() error) {
	t.Helper()
	var err error
	ns.do(func() { err = f() })
	require.NoError(t, err)
}

// devices are the interface indexes of node 1.
type devices struct{ nic, lxcA, lxcB int }

// newNode1 makes the network side of node 1: NIC, lxc devices, addresses, routes, neighbours.
func newNode1(t testing.TB) (*namespace, devices) {
	ns := newNamespace(t)
	var d devices
	ns.try(t, func() (err error) {
		for _, switched := range []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding"} {
			if err := os.WriteFile(filepath.Join("/proc/sys/net", switched), []byte("1"), 0); err != nil {
				return err
			}
		}
		if d.nic, err = addVeth("eth0", node1.mac, "172.16.0.1/12", "fd00:172:16::1/32"); err != nil {
			return err
		}
		if d.lxcA, err = addVeth("lxc-a", lxcA.mac, "10.0.1.254/32", "fd00:10:0:1::254/128"); err != nil {
			return err
		}
		if d.lxcB, err = addVeth("lxc-b", lxcB.mac, "10.0.1.254/32", "fd00:10:0:1::254/128"); err != nil {
			return err
		}
		return errors.Join(
			addRoute("10.0.1.1/32", d.lxcA, nil), addRoute("fd00:10:0:1::1/128", d.lxcA, nil),
			addRoute("10.0.1.2/32", d.lxcB, nil), addRoute("fd00:10:0:1::2/128", d.lxcB, nil),
			addRoute("10.0.2.0/24", d.nic, &node2), addRoute("fd00:10:0:2::/64", d.nic, &node2),
			addRoute("0.0.0.0/0", d.nic, &gateway), addRoute("::/0", d.nic, &gateway),
			addNeighbour(d.nic, node2), addNeighbour(d.nic, client), addNeighbour(d.nic, gateway),
		)
	})
	return ns, d
}

// addVeth makes a veth pair in the thread's namespace and returns the index of the named end.
func addVeth(name string, mac net.HardwareAddr, addresses ...string) (int, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr = name, mac
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: name + "-peer"}); err != nil {
		return 0, err
	}
	for _, end := range []string{name + "-peer", name} {
		link, err := netlink.LinkByName(end)
		if err != nil {
			return 0, err
		}
		if err := netlink.LinkSetUp(link); err != nil {
			return 0, err
		}
	}
	link, err := netlink.LinkByName(name)
	if err != nil {
		return 0, err
	}
	for _, address := range addresses {
		parsed, err := netlink.ParseAddr(address)
		if err != nil {
			return 0, err
		}
		parsed.Flags = unix.IFA_F_NODAD
		if err := netlink.AddrAdd(link, parsed); err != nil {
			return 0, err
		}
	}
	return link.Attrs().Index, nil
}

func addRoute(to string, device int, via *machine) error {
	_, prefix, err := net.ParseCIDR(to)
	if err != nil {
		return err
	}
	route := &netlink.Route{Dst: prefix, LinkIndex: device}
	if via != nil {
		route.Gw = net.IP(via.addr(familyOf(prefix.IP)).AsSlice())
	}
	return netlink.RouteAdd(route)
}

func familyOf(ip net.IP) family {
	if ip.To4() == nil {
		return v6
	}
	return v4
}

func addNeighbour(device int, m machine) error { return neighbour(netlink.NeighAdd, device, m) }
func setNeighbour(device int, m machine) error { return neighbour(netlink.NeighSet, device, m) }

func neighbour(write func(*netlink.Neigh) error, device int, m machine) error {
	for _, f := range families {
		err := write(&netlink.Neigh{
			LinkIndex: device, State: netlink.NUD_PERMANENT, IP: net.IP(m.addr(f).AsSlice()), HardwareAddr: m.mac,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// addBlackhole makes an address unreachable.
func addBlackhole(addr netip.Addr) error {
	dst := &net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(addr.BitLen(), addr.BitLen())}
	return netlink.RouteAdd(&netlink.Route{Dst: dst, Type: unix.RTN_BLACKHOLE})
}

var (
	unspecified = netip.IPv6Unspecified()
	allRouters  = netip.MustParseAddr("ff02::2")
)
