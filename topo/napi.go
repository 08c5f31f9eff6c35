package topo

import (
	"errors"
	"fmt"
	"os"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// ThreadNAPI has a device receive in a kernel thread instead of in softirqs of whatever runs, and returns the thread's number: it
// can be pinned to a CPU, and its schedstat tells its work. The device must have NAPI, which an XDP program or GRO gives a veth
// (see reception), and keeps the thread as long as it does. Threads are since 5.12; which one it is, the kernel tells since 6.8:
// before, the error is an [errors.ErrUnsupported].
func (m *Machine) ThreadNAPI(dev string) (thread int, err error) {
	d, err := m.Device(dev)
	if err != nil {
		return 0, err
	}
	err = m.Do(func() error {
		if err := setThreaded(d.Name); err != nil {
			return err
		}
		thread, err = napiThread(d.Index)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("topo: receiving on %s in a thread: %w", d, err)
	}
	return thread, nil
}

var errNoNAPI = errors.New("it has no NAPI: give the device an XDP program or GRO first")

// setThreaded writes the device's attribute in sysfs, which shows the devices of the namespace that it was mounted in: so it is
// mounted once more, where only the calling thread sees it, which must not do anything else after.
func setThreaded(device string) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("making a mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := unix.Mount("sysfs", "/sys", "sysfs", 0, ""); err != nil {
		return fmt.Errorf("mounting sysfs: %w", err)
	}
	err := os.WriteFile("/sys/class/net/"+device+"/threaded", []byte("1"), 0)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return errNoNAPI
	}
	return err
}

// The netdev family of generic netlink (include/uapi/linux/netdev.h).
const (
	netdevNAPIGet     = 11
	netdevNAPIIfindex = 1
	netdevNAPIPID     = 4
)

// napiThread asks the kernel for the thread of a device in the calling thread's namespace.
func napiThread(ifindex int) (int, error) {
	family, err := netlink.GenlFamilyGet("netdev")
	if err != nil {
		return 0, fmt.Errorf("the kernel tells nothing of devices' threads: %w (%w)", errors.ErrUnsupported, err)
	}
	req := nl.NewNetlinkRequest(int(family.ID), unix.NLM_F_DUMP)
	req.AddData(genericHeader{netdevNAPIGet, 1})
	req.AddData(nl.NewRtAttr(netdevNAPIIfindex, nl.Uint32Attr(uint32(ifindex))))
	answers, err := req.Execute(unix.NETLINK_GENERIC, 0)
	if err != nil {
		return 0, fmt.Errorf("asking for the device's threads: %w", err)
	}
	for _, answer := range answers {
		attrs, err := nl.ParseRouteAttrAsMap(answer[nl.SizeofGenlmsg:])
		if err != nil {
			return 0, err
		}
		if pid := number(attrs[netdevNAPIPID]); pid != 0 {
			return int(pid), nil
		}
	}
	return 0, errNoNAPI
}
