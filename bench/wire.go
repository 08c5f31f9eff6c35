package bench

//go:generate go tool bpf2go -go-package bench -cc clang-19 -strip llvm-strip-19 -target bpfel -type count -type header wire wire.c -- -mcpu=v3 -isystem ../bpf/include -Wall -Wextra -Werror

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

const (
	nodePort    = 30080
	backendPort = 80

	// batch is how many frames one system call generates. It bounds how late a
	// run notices its end: 16 ms at a million a second.
	batch = 1 << 14
)

// traffic is what the tester sends: one UDP datagram of each flow in turn to the
// node port of the node under test.
type traffic struct {
	family topo.Family
	flows  int // a power of two, at most 65536
	size   int // of the frame in bytes, its check sequence of 4 included, as RFC 2544 counts
}

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
	w = &wire{cpu: cpu}
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
	if _, err := w.tester.AttachXDP(w.objects.Sink, topo.NIC, topo.XDPDriver); err != nil {
		return w, err
	}
	return w, nil
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
func (w *wire) bounce(network *topo.Network) error {
	node, _ := network.Machine("lb")
	_, err := node.AttachXDP(w.objects.Bounce, topo.NIC, topo.XDPDriver)
	return err
}

func (w *wire) Close() error {
	if w.quick != nil {
		w.quick.Close()
	}
	return w.objects.Close()
}

// headers builds the beginning of each flow's frame, and one whole frame.
func (t traffic) headers(network *topo.Network) (headers []wireHeader, frame []byte, err error) {
	topology := network.Topology()
	node, tester := topology.Nodes[0], topology.Hosts[0]
	target, clients := node.IPv4, topo.BenchmarkIPv4.Addr()
	if t.family == topo.IPv6 {
		target, clients = node.IPv6, topo.BenchmarkIPv6.Addr()
	}
	headers = make([]wireHeader, t.flows)
	for i := range headers {
		if i%256 == 0 {
			clients = clients.Next()
		}
		p, err := packet.Build(packet.UDP{
			Src:     netip.AddrPortFrom(clients, uint16(10000+i%256)),
			Dst:     netip.AddrPortFrom(target, nodePort),
			Payload: make([]byte, t.payload()),
		}, packet.Defaults{SrcMAC: tester.MAC, DstMAC: node.MAC})
		if err != nil {
			return nil, nil, fmt.Errorf("bench: build the frame of flow %d: %w", i, err)
		}
		copy(headers[i].Bytes[:], p.Data)
		frame = p.Data
	}
	return headers, frame, nil
}

// payload is how many bytes of UDP payload fill a frame of the size.
func (t traffic) payload() int {
	const ethernet, ipv4, ipv6, udp, check = 14, 20, 40, 8, 4
	if t.family == topo.IPv6 {
		return max(t.size-ethernet-ipv6-udp-check, 2) // 64 bytes are too few: wire.c has the shortest
	}
	return t.size - ethernet - ipv4 - udp - check
}

func keys(n int) []uint32 {
	all := make([]uint32, n)
	for i := range all {
		all[i] = uint32(i)
	}
	return all
}

// sample is what one run measured.
type sample struct {
	wireCount               // frames of this run alone
	wall, cpu time.Duration // until the last frame was back; CPU time as cpuClock counts
}

func (s sample) rate() float64    { return float64(s.Returned) / s.wall.Seconds() }
func (s sample) cost() float64    { return float64(s.wall.Nanoseconds()) / float64(s.Returned) }
func (s sample) cpuPart() float64 { return 100 * s.cpu.Seconds() / s.wall.Seconds() }

// loss says, as an error, that not every frame came back as it should.
func (s sample) loss() error {
	if s.Returned == s.Sent {
		return nil
	}
	return fmt.Errorf("of %d frames sent, %d came back translated and %d otherwise", s.Sent, s.Returned, s.Strayed)
}

// saturate sends as fast as the path lets it for the time.
func (w *wire) saturate(ctx context.Context, d time.Duration) (sample, error) {
	return w.run(ctx, func(start time.Time, send func(uint32) error) error {
		for time.Since(start) < d && ctx.Err() == nil {
			if err := send(batch); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
}

// offer sends at a fixed rate for the time, in bursts of 64, and sleeps between.
func (w *wire) offer(ctx context.Context, perSecond int, d time.Duration) (sample, error) {
	const burst = 64
	return w.run(ctx, func(start time.Time, send func(uint32) error) error {
		for sent := 0; time.Since(start) < d && ctx.Err() == nil; sent += burst {
			due := start.Add(time.Duration(sent) * time.Second / time.Duration(perSecond))
			if err := sleepUntil(due); err != nil {
				return err
			}
			if err := send(burst); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
}

// sleepUntil blocks the thread itself, so that waking costs no scheduling of
// goroutines on another one.
func sleepUntil(due time.Time) error {
	for left := time.Until(due); left > 0; left = time.Until(due) {
		ts := unix.NsecToTimespec(left.Nanoseconds())
		if err := unix.Nanosleep(&ts, nil); err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
	}
	return nil
}

// run lets drive send frames, from a thread of the tester's namespace that is
// pinned to the CPU, and waits until all are back or lost.
func (w *wire) run(ctx context.Context, drive func(start time.Time, send func(uint32) error) error) (s sample, err error) {
	err = w.tester.Do(func() error {
		var cpus unix.CPUSet
		cpus.Set(w.cpu)
		if err := unix.SchedSetaffinity(0, &cpus); err != nil {
			return fmt.Errorf("bench: pin the generator to CPU %d: %w", w.cpu, err)
		}
		before, err := w.count()
		if err != nil {
			return err
		}
		cpu, err := w.clock.now()
		if err != nil {
			return err
		}
		start := time.Now()
		if err := drive(start, w.send); err != nil {
			return err
		}
		if s.wireCount, err = w.settle(before); err != nil {
			return err
		}
		s.wall = time.Since(start)
		after, err := w.clock.now()
		s.cpu = after - cpu
		return err
	})
	return s, err
}

// send generates n frames. The kernel may be interrupted and begin anew, so what
// was really sent is what the program counted.
func (w *wire) send(n uint32) error {
	const liveFrames = 1 << 1 // BPF_F_TEST_XDP_LIVE_FRAMES
	_, err := w.objects.Generate.Run(&ebpf.RunOptions{
		Data: w.frame, Context: w.context, Repeat: n, Flags: liveFrames, BatchSize: 64,
	})
	if err != nil {
		return fmt.Errorf("bench: generate frames: %w", err)
	}
	return nil
}

// settle waits until every frame sent since before is back, at most 100 ms: what
// is missing then is lost.
func (w *wire) settle(before wireCount) (wireCount, error) {
	for deadline := time.Now().Add(100 * time.Millisecond); ; {
		now, err := w.count()
		if err != nil {
			return now, err
		}
		now = wireCount{
			Sent: now.Sent - before.Sent, Returned: now.Returned - before.Returned, Strayed: now.Strayed - before.Strayed,
		}
		if now.Returned+now.Strayed >= now.Sent || time.Now().After(deadline) {
			return now, nil
		}
	}
}

// count sums the counters of all CPUs.
func (w *wire) count() (sum wireCount, err error) {
	var perCPU []wireCount
	if err := w.objects.Counts.Lookup(uint32(0), &perCPU); err != nil {
		return sum, fmt.Errorf("bench: read the wire's counters: %w", err)
	}
	for _, c := range perCPU {
		sum.Sent += c.Sent
		sum.Returned += c.Returned
		sum.Strayed += c.Strayed
	}
	return sum, nil
}
