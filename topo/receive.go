package topo

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/rlimit"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// What an end does so that frames of its peer's XDP programs arrive. A veth device takes frames that are redirected to it
// (bpf_redirect, and BPF_PROG_RUN with live frames) where it has NAPI, which an XDP program or GRO gives it, GRO since 5.13.
// But frames that its peer answers with XDP_TX lie in its ring until something else wakes it, unless it has an XDP program
// (drivers/net/veth.c, veth_xdp_flush).
type reception uint8

const (
	receiveAsIs   reception = iota
	receiveByGRO            // of a node on a cable, where benchmarks want no program that is not theirs
	receiveByPass           // of ports of the switch and of a host on a cable: an XDP program that passes everything
)

// longFrames is the MTU from which on a frame may not fit into the page that an XDP program gets at most, unless it says that
// it knows fragments, as kernels since 5.18 let it.
const longFrames = 3000

// onCable is how a kind of machine receives on a cable.
var onCable = map[Kind]reception{KindNode: receiveByGRO, KindHost: receiveByPass}

// loadPass loads the XDP program that passes everything. It is the first program of a network: kernels before 5.11 count
// programs and maps against a limit, which goes here.
func loadPass(mtu int) (*ebpf.Program, error) {
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, err
	}
	const xdpPass = 2 // include/uapi/linux/bpf.h, enum xdp_action
	spec := ebpf.ProgramSpec{
		Name:         "pass",
		Type:         ebpf.XDP,
		License:      "Dual BSD/GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, xdpPass), asm.Return()},
	}
	if mtu >= longFrames {
		spec.Flags = unix.BPF_F_XDP_HAS_FRAGS
	}
	return ebpf.NewProgram(&spec)
}

// pass puts the passing program at an end that receives by it.
func (e *end) pass() error {
	if e.reception != receiveByPass {
		return nil
	}
	return e.machine.rtnl.do(setXDP(e.Device, e.machine.network.passing.FD()))
}

// unpass takes it away, to make room for another.
func (e *end) unpass() error {
	if e.reception != receiveByPass {
		return nil
	}
	return e.machine.rtnl.do(setXDP(e.Device, -1))
}

// setXDP gives a device an XDP program in the driver, which lives as long as the device; fd -1 takes it away.
func setXDP(d Device, fd int) request {
	req := nl.NewNetlinkRequest(unix.RTM_SETLINK, 0)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(d.Index)
	req.AddData(msg)
	xdp := nl.NewRtAttr(unix.IFLA_XDP|unix.NLA_F_NESTED, nil)
	xdp.AddRtAttr(unix.IFLA_XDP_FD, nl.Uint32Attr(uint32(int32(fd))))
	xdp.AddRtAttr(unix.IFLA_XDP_FLAGS, nl.Uint32Attr(unix.XDP_FLAGS_DRV_MODE))
	req.AddData(xdp)
	return request{fmt.Sprintf("giving %s a program to receive by", d), req}
}
