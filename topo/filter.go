package topo

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// A filter is a TC program attached the old way: direct-action, in the clsact qdisc of a device. It takes no file
// descriptor, and is put in ten times as fast as a TCX link, which costs an RCU grace period.
type filter struct {
	device    Device
	direction Direction
	priority  uint16 // lower ones run first
	name      string
}

// The mute comes first, others in the order in which they are attached.
const (
	mutePriority  = 1
	firstPriority = 2
)

// add puts the program in. The filter holds it; the caller's descriptor is needed no more.
func (f filter) add(conn *rtnl, program *ebpf.Program) error {
	if err := conn.do(f.qdisc()); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	req := f.request(unix.RTM_NEWTFILTER, create)
	options := nl.NewRtAttr(nl.TCA_OPTIONS, nil)
	options.AddRtAttr(nl.TCA_BPF_FD, nl.Uint32Attr(uint32(program.FD())))
	options.AddRtAttr(nl.TCA_BPF_NAME, nl.ZeroTerminated(f.name))
	options.AddRtAttr(nl.TCA_BPF_FLAGS, nl.Uint32Attr(nl.TCA_BPF_FLAG_ACT_DIRECT))
	req.AddData(options)
	return conn.do(req)
}

func (f filter) remove(conn *rtnl) error { return conn.do(f.request(unix.RTM_DELTFILTER, 0)) }

func (f filter) qdisc() request {
	req := nl.NewNetlinkRequest(unix.RTM_NEWQDISC, create)
	req.AddData(&nl.TcMsg{Ifindex: int32(f.device.Index), Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT})
	req.AddData(nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated("clsact")))
	return request{fmt.Sprintf("giving %s a clsact qdisc", f.device), req}
}

// request names the filter; one per priority is all that is needed.
func (f filter) request(message, flags int) request {
	parent := uint32(netlink.HANDLE_MIN_INGRESS)
	if f.direction == Out {
		parent = netlink.HANDLE_MIN_EGRESS
	}
	req := nl.NewNetlinkRequest(message, flags)
	req.AddData(&nl.TcMsg{Ifindex: int32(f.device.Index), Parent: parent, Handle: 1, Info: netlink.MakeHandle(f.priority, allProtocols)})
	req.AddData(nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated("bpf")))
	return request{fmt.Sprintf("the filter %s at %s, %s", f.name, f.device, f.direction), req}
}
