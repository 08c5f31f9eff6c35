package vector

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"
)

// A Timer measures what a program costs a packet, XDP or TC. Packet, metadata and what TC programs may write into their
// context are restored before every iteration, and what restoring costs is subtracted.
//
//	timer, err := vector.NewTimer(program, vector.Timed{Input: vector.Input{Packet: syn}, Code: 3})
//	defer timer.Close()
//	timing, err := timer.Measure(9, 100_000)
//	fmt.Println(timing.Median(), "ns")
//
// Its methods run in the network namespace of the calling thread, and are for one goroutine at a time.
type Timer struct {
	// Reset, if set, is called before each timed run of the program, to take back what the run before has left in its maps: when
	// iterations are as many as packets, every packet is then the first of its flow.
	Reset func() error

	program *ebpf.Program
	packets []Timed
	size    int // of the largest packet with its metadata
	room    int // in the ring, for packets
	tested  *driver
	idle    *driver
}

// Timed is a packet to measure with, and the code that the program has to return for it in every run.
type Timed struct {
	Input
	Code uint32
}

// NewTimer gets a program ready to be measured. Packets come in turn, so that several flows are met; they share the devices of the
// first one's context and, for TC, their EtherType. Each is run once, untimed, to check its code. Packets are at most 4,096 bytes long,
// less what the kernel needs of a page for itself.
func NewTimer(program *ebpf.Program, packets ...Timed) (*Timer, error) {
	t := &Timer{program: program, packets: packets}
	if err := t.check(); err != nil {
		return nil, fmt.Errorf("vector: timing %s: %w", program, err)
	}
	if err := t.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("vector: timing %s: %w", program, err), t.Close())
	}
	return t, nil
}

// Close releases what the timer holds; the program is the caller's.
func (t *Timer) Close() error { return errors.Join(t.tested.close(), t.idle.close()) }

// Replace puts other packets in the place of those that the timer has, and checks them as NewTimer does.
func (t *Timer) Replace(packets ...Timed) error {
	old := t.packets
	t.packets = packets
	err := t.check()
	if err == nil && len(packets) > t.room {
		err = errors.Join(t.Close(), t.load())
	} else if err == nil {
		err = errors.Join(t.tested.fill(packets), t.idle.fill(packets))
	}
	if err != nil {
		t.packets = old
		return fmt.Errorf("vector: timing %s: %w", t.program, err)
	}
	return nil
}

// load loads both drivers, with room for the packets.
func (t *Timer) load() (err error) {
	t.room = len(t.packets)
	if t.tested, err = t.newDriver(t.program); err != nil {
		return err
	}
	t.idle, err = t.newDriver(nil)
	return err
}

func (t *Timer) check() error {
	if len(t.packets) == 0 {
		return errors.New("there is no packet to measure with")
	}
	if kind := t.program.Type(); kind != ebpf.XDP && kind != ebpf.SchedCLS {
		return fmt.Errorf("programs of type %s cannot be measured, only XDP and TC", kind)
	}
	for i, p := range t.packets {
		if len(p.Packet) < 14 || len(p.Packet) > len(timerPacket{}.Data) {
			return fmt.Errorf("packet %d is %d bytes long: 14 to %d can be measured", i+1, len(p.Packet), len(timerPacket{}.Data))
		}
		if t.program.Type() == ebpf.SchedCLS && etherType(p.Packet) != etherType(t.packets[0].Packet) {
			return fmt.Errorf("packet %d is of another EtherType than the first: measure them apart", i+1)
		}
		if len(p.Meta) > 252 || len(p.Meta)%4 != 0 {
			return fmt.Errorf("packet %d has %d bytes of metadata: multiples of 4 up to 252 can be measured", i+1, len(p.Meta))
		}
		out, err := (&Program{Program: t.program, Name: t.program.String()}).Run(p.Input)
		if err != nil {
			return err
		}
		if out.Code != p.Code {
			return t.wrong(i, out.Code)
		}
		t.size = max(t.size, len(p.Meta)+len(p.Packet))
	}
	return nil
}

func (t *Timer) wrong(i int, code uint32) error {
	kind := t.program.Type()
	return fmt.Errorf("packet %d: want %s, got %s", i+1, VerdictOf(kind, t.packets[i].Code), VerdictOf(kind, code))
}

func etherType(frame []byte) uint32 { return uint32(frame[12]) | uint32(frame[13])<<8 } // as skb->protocol has it

// A driver is the program that restores a packet and calls another: the one under test, or one that does nothing.
type driver struct {
	collection *ebpf.Collection
	restore    *ebpf.Program
}

// close releases a driver; nil is none.
func (d *driver) close() error {
	if d != nil {
		d.collection.Close()
	}
	return nil
}

// callers are the ways to load a program that may call another: a tail call stays among programs of one attach type, and one
// treatment of packets of many pages. Which those are, the kernel does not tell of a program that is loaded.
var callers = map[ebpf.ProgramType][]struct {
	attach ebpf.AttachType
	flags  uint32
}{
	ebpf.XDP: {
		{ebpf.AttachXDP, 0}, {ebpf.AttachXDP, unix.BPF_F_XDP_HAS_FRAGS}, {ebpf.AttachNone, 0}, {ebpf.AttachNone, unix.BPF_F_XDP_HAS_FRAGS},
	},
	ebpf.SchedCLS: {{ebpf.AttachNone, 0}, {ebpf.AttachTCXIngress, 0}, {ebpf.AttachTCXEgress, 0}},
}

// newDriver loads the driver of a program, nil: of nothing.
func (t *Timer) newDriver(program *ebpf.Program) (*driver, error) {
	var failed error
	for _, caller := range callers[t.program.Type()] {
		d, err := t.loadDriver(program, caller.attach, caller.flags)
		if err == nil || !errors.Is(err, unix.EINVAL) {
			return d, err
		}
		failed = err
	}
	return nil, failed
}

func (t *Timer) loadDriver(program *ebpf.Program, attach ebpf.AttachType, flags uint32) (*driver, error) {
	spec, err := loadTimer()
	if err != nil {
		return nil, err
	}
	restore, nothing := timerProgRestoreXdp, timerProgNothingXdp
	if t.program.Type() == ebpf.SchedCLS {
		restore, nothing = timerProgRestoreTc, timerProgNothingTc
	}
	wanted := []string{restore}
	if program == nil {
		wanted = append(wanted, nothing)
	}
	for name, p := range spec.Programs {
		p.AttachType, p.Flags = attach, flags
		if !slices.Contains(wanted, name) {
			delete(spec.Programs, name)
		}
	}
	spec.Maps[timerMapRing].MaxEntries = uint32(len(t.packets))
	if err := spec.Variables[timerVarHasStoreBytes].Set(haveStoreBytes()); err != nil {
		return nil, err
	}
	collection, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, err
	}
	d := &driver{collection: collection, restore: collection.Programs[restore]}
	if program == nil {
		program = collection.Programs[nothing]
	}
	if err := errors.Join(d.fill(t.packets), d.call(program)); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// haveStoreBytes tells whether XDP programs can write bytes by a helper, since 5.18.
func haveStoreBytes() bool { return features.HaveProgramHelper(ebpf.XDP, asm.FnXdpStoreBytes) == nil }

func (d *driver) call(program *ebpf.Program) error {
	if err := d.collection.Maps[timerMapUnderTest].Put(uint32(0), program); err != nil {
		return fmt.Errorf("calling %s: %w", program, err)
	}
	return nil
}

// fill puts the packets into the ring.
func (d *driver) fill(packets []Timed) error {
	for i, p := range packets {
		entry := timerPacket{Size: uint32(len(p.Packet)), MetaSize: uint32(len(p.Meta)), Protocol: etherType(p.Packet)}
		copy(entry.Data[:], p.Packet)
		for word := range len(p.Meta) / 4 {
			entry.Meta[word] = uint32(getUint(p.Meta[4*word:][:4]))
		}
		if len(p.Context) >= skbSize {
			entry.Mark, entry.Priority = uint32(getUint(p.Context[8:12])), uint32(getUint(p.Context[32:36]))
			for word := range entry.Cb {
				entry.Cb[word] = uint32(getUint(p.Context[48+4*word:][:4]))
			}
		}
		if err := d.collection.Maps[timerMapRing].Put(uint32(i), &entry); err != nil {
			return fmt.Errorf("packet %d: %w", i+1, err)
		}
	}
	return nil
}

// run has the driver go through so many iterations, and returns the CPU time that one took, in nanoseconds.
func (t *Timer) run(d *driver, iterations int) (nanoseconds float64, code uint32, err error) {
	turn := timerTurn{Packets: uint32(len(t.packets))}
	if err := d.collection.Maps[timerMapTurns].Put(uint32(0), &turn); err != nil {
		return 0, 0, err
	}
	first := t.packets[0].Input
	frame := make([]byte, t.size) // the kernel makes room for as much as comes in
	copy(frame, first.Meta)
	copy(frame[len(first.Meta):], first.Packet)
	context := slices.Clone(first.Context)
	if t.program.Type() == ebpf.XDP && context != nil {
		putUint(context[4:8], uint64(len(frame)))
	}
	call := progRun{
		packetIn: uint32(len(frame)), packetInPointer: pointer(frame), repeat: uint32(iterations),
		contextIn: uint32(len(context)), contextInPtr: pointer(context),
	}
	start := threadTime()
	err = call.do(d.restore)
	return float64(threadTime()-start) / float64(iterations), call.code, err
}

// threadTime is the CPU time of the calling thread.
func threadTime() time.Duration {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now) // cannot fail with a valid clock
	return time.Duration(now.Nano())
}

// A Timing is what a packet costs a program.
type Timing struct {
	// Samples are nanoseconds per packet, one for each run: the program alone, what restoring costs in the same run taken off.
	Samples []float64
	// Restoring is what was taken off each.
	Restoring []float64
	Packets   int // different ones
}

// Median is the middle of the samples, in nanoseconds.
func (t Timing) Median() float64 { return quantile(t.Samples, 0.5) }

// Range returns the least and the greatest sample.
func (t Timing) Range() (low, high float64) { return slices.Min(t.Samples), slices.Max(t.Samples) }

// Measure takes samples of so many iterations each: one run of the program and one of nothing, back to back. The code of each
// run's last packet is checked.
func (t *Timer) Measure(samples, iterations int) (Timing, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if iterations < 1 || iterations > math.MaxInt32 || samples < 1 {
		return Timing{}, fmt.Errorf("vector: %d samples of %d iterations cannot be taken", samples, iterations)
	}
	timing := Timing{Packets: len(t.packets)}
	if _, err := t.sample(min(iterations, 1000)); err != nil { // warms the caches
		return timing, err
	}
	for range samples {
		pair, err := t.sample(iterations)
		if err != nil {
			return timing, err
		}
		timing.Samples = append(timing.Samples, pair[0]-pair[1])
		timing.Restoring = append(timing.Restoring, pair[1])
	}
	return timing, nil
}

// sample runs the program, and nothing.
func (t *Timer) sample(iterations int) (pair [2]float64, err error) {
	last := (iterations - 1) % len(t.packets)
	if t.Reset != nil {
		if err := t.Reset(); err != nil {
			return pair, fmt.Errorf("vector: timing %s: %w", t.program, err)
		}
	}
	for i, d := range []*driver{t.tested, t.idle} {
		ns, code, err := t.run(d, iterations)
		if err == nil && d == t.tested && code != t.packets[last].Code {
			err = t.wrong(last, code)
		}
		if err != nil {
			return pair, fmt.Errorf("vector: timing %s: %w", t.program, err)
		}
		pair[i] = ns
	}
	return pair, nil
}

// quantile is that of samples; between two of them, their mean weighted by nearness.
func quantile(samples []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(samples))
	at := q * float64(len(sorted)-1)
	below := int(at)
	above := min(below+1, len(sorted)-1)
	return sorted[below] + (at-float64(below))*(sorted[above]-sorted[below])
}
