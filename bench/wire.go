package bench

//go:generate go tool bpf2go -go-package bench -cc clang-19 -strip llvm-strip-19 -target bpfel -type count -type header wire wire.c -- -mcpu=v3 -isystem ../bpf/include -Wall -Wextra -Werror

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cilium/ebpf/link"

	"github.com/skbench/skbench/topo"
)

const (
	underTest     = "lb" // the node of topo.Wire
	firstNodePort = 30000
	backendPort   = 80

	// batch is how many frames one system call generates. It bounds how late a
	// run notices its end: 16 ms at a million a second.
	batch = 1 << 14
)

// wire is the tester's end of a cable to the NIC under test: it generates
// frames, and swallows and counts what comes back.
type wire struct {
	objects wireObjects
	quick   link.Link // see keepInDispatcher
	tester  *topo.Machine
	frame   []byte // any one: generate writes its headers
	context xdpContext
	clock   *cpuClock
	cpu     int
	flows   int

	network  *topo.Network
	receiver *threadClock // nil in the inline mode

	podDevice uint32 // the node's end of the way to the local pod, by its index
}

// xdpContext is struct xdp_md of linux/bpf.h, the context of a run.
type xdpContext struct {
	Data, DataEnd, DataMeta                     uint32
	IngressIfindex, RxQueueIndex, EgressIfindex uint32
}

// newWire readies the tester of a network made of topo.Wire. wantPort is the
// destination port of what should come back. The caller closes the wire before
// the network.
func newWire(network *topo.Network, t traffic, wantPort uint16, cpu int) (w *wire, err error) {
	w = &wire{cpu: cpu, flows: t.flows, network: network}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
		}
	}()
	if w.clock, err = newCPUClock(cpu); err != nil {
		return w, err
	}
	w.tester, _ = network.Machine("tester")
	nic, _ := w.tester.Device(topo.NIC)
	w.context = xdpContext{IngressIfindex: uint32(nic.Index)}
	if t.local {
		node, _ := network.Machine(underTest)
		device, err := node.Device(network.Topology().Pods[0].Device)
		if err != nil {
			return w, err
		}
		w.podDevice = uint32(device.Index)
	}
	headers, frame, err := t.headers(network)
	if err != nil {
		return w, err
	}
	w.frame, w.context.DataEnd = frame, uint32(len(frame))
	if err := w.load(t, wantPort); err != nil {
		return w, err
	}
	if err := w.keepInDispatcher(); err != nil {
		return w, err
	}
	if _, err := w.objects.Flows.BatchUpdate(keys(t.flows), headers, nil); err != nil {
		return w, fmt.Errorf("bench: write the flows' headers: %w", err)
	}
	return w, w.swallow(network, t)
}

// swallow puts the end of the wire where frames arrive.
func (w *wire) swallow(network *topo.Network, t traffic) (err error) {
	if pod, ok := network.Machine(localPod); t.local && ok {
		_, err = pod.AttachTC(w.objects.SinkPod, topo.NIC, topo.In, topo.TCBest)
		return err
	}
	_, err = w.tester.AttachXDP(w.objects.Sink, topo.NIC, topo.XDPDriver)
	return err
}

func (w *wire) load(t traffic, wantPort uint16) error {
	spec, err := loadWire()
	if err != nil {
		return fmt.Errorf("bench: read the wire's programs: %w", err)
	}
	ipHeader := 20
	if t.family == topo.IPv6 {
		ipHeader = 40
	}
	const ethernetHeader, toPort = 14, 2
	for name, value := range map[string]any{
		"flow_mask":   uint32(t.flows - 1),
		"port_offset": uint16(ethernetHeader + ipHeader + toPort),
		"want_port":   binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, wantPort)),
		"mixed_sizes": flag(t.size == imix),
		"pod_device":  w.podDevice,
	} {
		if err := spec.Variables[name].Set(value); err != nil {
			return fmt.Errorf("bench: set %s: %w", name, err)
		}
	}
	if err := spec.LoadAndAssign(&w.objects, nil); err != nil {
		return fmt.Errorf("bench: load the wire's programs: %w", err)
	}
	return nil
}

// keepInDispatcher makes BPF_PROG_RUN of the generator return at once. For a run
// the kernel puts the program into the XDP dispatcher and takes it out again, and
// waits for an RCU grace period, some 10 ms, each time (kernel/bpf/dispatcher.c).
// A program that is attached anywhere is there already: so it hangs on lo, where
// nothing comes by.
func (w *wire) keepInDispatcher() error {
	return w.tester.Do(func() (err error) {
		const lo = 1
		w.quick, err = link.AttachXDP(link.XDPOptions{
			Program: w.objects.Generate, Interface: lo, Flags: link.XDPGenericMode,
		})
		if err != nil {
			return fmt.Errorf("bench: attach the generator to the tester's lo: %w", err)
		}
		return nil
	})
}

// bounce attaches the empty path to the NIC under test.
func (w *wire) bounce(network *topo.Network, t traffic) (err error) {
	node, _ := network.Machine(underTest)
	if t.local {
		_, err = node.AttachTC(w.objects.EnterPod, topo.NIC, topo.In, topo.TCBest)
		return err
	}
	_, err = node.AttachXDP(w.objects.Bounce, topo.NIC, topo.XDPDriver)
	return err
}

// dropAtOnce makes the NIC under test the end of the wire.
func (w *wire) dropAtOnce(network *topo.Network) error {
	node, _ := network.Machine(underTest)
	_, err := node.AttachXDP(w.objects.Sink, topo.NIC, topo.XDPDriver)
	return err
}

func flag(on bool) uint8 {
	if on {
		return 1
	}
	return 0
}

func (w *wire) Close() error {
	if w.quick != nil {
		w.quick.Close()
	}
	return w.objects.Close()
}
