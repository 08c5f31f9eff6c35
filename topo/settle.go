package topo

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// patience is how long the kernel may take to make a device ready, which it does in a few milliseconds.
var patience = Patience(10 * time.Second)

// settle waits until every machine is ready.
func (n *Network) settle(ctx context.Context) error {
	return each(ctx, n.all(), func(m *Machine) error {
		return m.settle(ctx, func() (string, error) { return m.unready(m.ends) })
	})
}

// settle waits until a function finds nothing of the machine unready. The kernel does two things late, from work queues: it
// turns a device on whose carrier has come, and takes up an IPv6 address (its multicast group first, then its local route).
func (m *Machine) settle(ctx context.Context, find func() (unready string, err error)) error {
	if unready, err := find(); err != nil || unready == "" {
		return err
	}
	news, err := m.subscribe()
	if err != nil {
		return fmt.Errorf("listening to changes on %s: %w", m.name, err)
	}
	defer news.Close()
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("not within %s", patience))
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = news.SetReadDeadline(time.Unix(1, 0)) })()

	ignored := make([]byte, maxReply)
	for {
		unready, err := find()
		if err != nil || unready == "" {
			return err
		}
		_, err = news.Read(ignored)
		if ctx.Err() != nil {
			return fmt.Errorf("waiting for %s to be ready: %w", unready, context.Cause(ctx))
		}
		if err != nil && !errors.Is(err, unix.ENOBUFS) { // more news than fit are news, too
			return fmt.Errorf("waiting for %s to be ready: %w", unready, err)
		}
	}
}

// subscribe opens a socket on which the kernel tells of devices and IPv6 routes of the machine.
func (m *Machine) subscribe() (file *os.File, err error) {
	err = m.Do(func() error {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_LINK | unix.RTMGRP_IPV6_ROUTE}); err != nil {
			unix.Close(fd)
			return err
		}
		file = os.NewFile(uintptr(fd), "rtnetlink")
		return nil
	})
	return file, err
}

// unready names something about ends of the machine that is not ready yet, "" when all is. Links come last: the kernel answers
// about them when it has finished with the addresses.
func (m *Machine) unready(ends []*end) (string, error) {
	if unready, err := m.unreadyAddress(ends); err != nil || unready != "" {
		return unready, err
	}
	return m.unreadyLink(ends)
}

// unreadyAddress names an IPv6 address that the kernel has not taken up.
func (m *Machine) unreadyAddress(ends []*end) (string, error) {
	missing := map[local]Device{}
	for _, a := range m.addresses {
		on := func(e *end) bool { return e.Index == a.device.Index && !e.down.Load() }
		if a.prefix.Addr().Is6() && slices.ContainsFunc(ends, on) {
			missing[local{a.device.Index, a.prefix.Addr()}] = a.device
		}
	}
	if len(missing) == 0 {
		return "", nil
	}
	return m.unreadyLocal(missing)
}

// unreadyLink names a device that the kernel has not turned on, or off, as its carrier demands. Asking for one device makes
// recent kernels do it (net/core/rtnetlink.c, rtnl_getlink).
func (m *Machine) unreadyLink(ends []*end) (unready string, err error) {
	requests := make([]request, len(ends))
	for i, e := range ends {
		requests[i] = getLink(e.Device)
	}
	err = m.rtnl.query(requests, func(msg syscall.NetlinkMessage) {
		if msg.Header.Type != unix.RTM_NEWLINK {
			return
		}
		info := nl.DeserializeIfInfomsg(msg.Data)
		attrs, err := nl.ParseRouteAttrAsMap(msg.Data[unix.SizeofIfInfomsg:])
		if err != nil {
			return
		}
		const operUp = 6 // include/uapi/linux/if.h, IF_OPER_UP
		carrier := info.Flags&unix.IFF_UP != 0 && number(attrs[unix.IFLA_CARRIER]) == 1
		if carrier != (number(attrs[unix.IFLA_OPERSTATE]) == operUp) {
			d, _ := m.network.Device(int(info.Index))
			unready = d.String()
		}
	})
	return unready, err
}

// number reads an attribute of one or four bytes; one that is missing is 0.
func number(attr syscall.NetlinkRouteAttr) uint32 {
	switch len(attr.Value) {
	case 1:
		return uint32(attr.Value[0])
	case 4:
		return binary.NativeEndian.Uint32(attr.Value)
	}
	return 0
}
