package vector

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/skbench/skbench/topo"
)

// live sends the vectors that passed, and adds what became of them to the result, each under its name and "live".
//
// Before that all are run some times more by BPF_PROG_RUN: what the packets that come out differ in is left to chance, and not compared.
func (r *runner) live(ctx context.Context, all [][]prepared, result *Result) (err error) {
	rehearsed, err := r.rehearse(all)
	if err != nil {
		return err
	}
	w, err := r.openWire()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	for i, tested := range result.Vectors[:len(all)] {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.begin(i); err != nil {
			return err
		}
		start := time.Now()
		done := VectorResult{Name: tested.Name + " live"}
		switch why := r.cannotSend(all[i], rehearsed[i]); {
		case tested.Failure != nil:
			done.Skipped = "it fails by BPF_PROG_RUN"
		case why != "":
			done.Skipped = why
		default:
			next := 0
			r.act = func(p *prepared) (*Failure, error) {
				next++
				return w.compare(p, &rehearsed[i][next-1])
			}
			if done.Failure, err = r.vector(all[i]); err == nil && done.Failure != nil {
				err = r.keep(done.Name, done.Failure)
			}
			if r.act = nil; err != nil {
				return err
			}
		}
		done.Duration = time.Since(start)
		result.Vectors = append(result.Vectors, done)
	}
	return nil
}

// mostRuns is how many runs of a vector are kept to be compared with.
const mostRuns = 4096

// rehearsals is how often all vectors are run by BPF_PROG_RUN before they are sent: bytes that chance makes are the same in all of them once in 256^7.
const rehearsals = 8

// rehearsed is what a run ended in: the first time, and in what other times differed from that.
type rehearsed struct {
	Outcome
	codes   bool   // the verdict is another at times
	lengths bool   // the packet is of another length at times
	chance  []bool // by byte of the packet: it is another at times
}

// again adds what the same run ended in another time.
func (first *rehearsed) again(code uint32, packet []byte) {
	first.codes = first.codes || code != first.Code
	if len(packet) != len(first.Packet) {
		first.lengths = true
		return
	}
	for i, b := range packet {
		first.chance[i] = first.chance[i] || b != first.Packet[i]
	}
}

// rehearse runs all vectors by BPF_PROG_RUN, time and again, and tells of each run of each vector what it ends in; too many of a vector are cut off.
func (r *runner) rehearse(all [][]prepared) (runs [][]rehearsed, err error) {
	defer func() { r.act = nil }()
	runs = make([][]rehearsed, len(all))
	for range rehearsals {
		for i := range all {
			if err := r.begin(i); err != nil {
				return nil, err
			}
			next := 0
			r.act = func(p *prepared) (*Failure, error) {
				err := r.buffers.run(p.program, &p.in)
				switch {
				case next < len(runs[i]):
					runs[i][next].again(r.buffers.Code, r.buffers.Packet)
				case next <= mostRuns:
					first := Outcome{Code: r.buffers.Code, Packet: bytes.Clone(r.buffers.Packet)}
					runs[i] = append(runs[i], rehearsed{Outcome: first, chance: make([]bool, len(first.Packet))})
				}
				next++
				return nil, err
			}
			if _, err := r.vector(all[i]); err != nil {
				return nil, err
			}
		}
	}
	return runs, nil
}

// cannotSend says why a vector cannot be sent; nothing if it can.
func (r *runner) cannotSend(steps []prepared, runs []rehearsed) string {
	if len(runs) > mostRuns {
		return fmt.Sprintf("it runs more than %d times", mostRuns)
	}
	for i := range runs {
		if runs[i].codes {
			return fmt.Sprintf("run %d by BPF_PROG_RUN ends in another verdict each time", i+1)
		}
	}
	for i := range steps {
		p := &steps[i]
		if _, err := r.suite.place(p); err != nil {
			return err.Error()
		}
		if mtu := r.suite.mtu(); len(p.in.Packet) > ethernetHeader+mtu {
			return fmt.Sprintf("a packet of %d bytes is longer than the MTU, %d, allows", len(p.in.Packet), mtu)
		}
		if tagged(p.in.Packet) {
			return "the kernel takes VLAN tags off packets before it hands them on"
		}
	}
	return ""
}

const ethernetHeader = 14

func (s *Suite) mtu() int {
	if s.Network.MTU == 0 {
		return topo.DefaultMTU
	}
	return s.Network.MTU
}

// tagged tells packets with a VLAN tag.
func tagged(frame []byte) bool {
	return len(frame) >= ethernetHeader && (frame[12] == 0x81 && frame[13] == 0 || frame[12] == 0x88 && frame[13] == 0xa8)
}

// wire is the network of a suite with its programs attached, and what is seen on it.
type wire struct {
	runner   *runner
	shore    *topo.Machine // holds the other ends of the devices
	capture  *topo.Capture
	received *topo.Received // by the stack behind the programs

	mu   sync.Mutex
	seen []topo.Frame // that came back to the shore
}

// openWire attaches the programs.
func (r *runner) openWire() (w *wire, err error) {
	w = &wire{runner: r}
	w.shore, _ = r.environment.network.Machine(topo.ShoreName)
	w.received = r.environment.island.Receive()
	if err := r.suite.attach(r.environment.island, r.loaded); err != nil {
		return nil, errors.Join(err, w.close())
	}
	w.capture, err = r.environment.network.Capture(func(f topo.Frame) {
		if _, err := r.environment.island.Device(f.Device.Name); err == nil && f.Device.Machine == topo.ShoreName && f.Direction == topo.In {
			w.mu.Lock()
			w.seen = append(w.seen, f)
			w.mu.Unlock()
		}
	})
	if err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *wire) close() error {
	var err error
	if w.capture != nil {
		err = w.capture.Close()
	}
	return errors.Join(err, w.received.Close())
}

// sighting is what became of a frame.
type sighting struct {
	delivered, back, away [][]byte // to the stack; to where it came from, or out of an egress hook; out of other devices
}

// send sends a frame to where a program stands, and returns what became of it when the kernel is done with it.
func (w *wire) send(at *Attachment, frame []byte) (s sighting, err error) {
	from := w.shore
	if at.Hook == TCEgress {
		from = w.runner.environment.island
	}
	if err := from.Inject(at.Device, frame); err != nil {
		return s, err
	}
	if err := w.runner.environment.network.Drain(); err != nil {
		return s, err
	}
	if err := w.capture.Sync(context.Background()); err != nil {
		return s, err
	}
	if s.delivered, err = w.received.Take(); err != nil {
		return s, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.seen {
		if f.Device.Name == at.Device {
			s.back = append(s.back, f.Data)
		} else {
			s.away = append(s.away, f.Data)
		}
	}
	w.seen = w.seen[:0]
	return s, nil
}

// compare sends what a step runs on, and says how what becomes of it differs from what BPF_PROG_RUN made of it.
func (w *wire) compare(p *prepared, run *rehearsed) (*Failure, error) {
	at, err := w.runner.suite.place(p)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(w.received.Expect(run.Packet), w.received.Expect(p.in.Packet)); err != nil {
		return nil, err
	}
	seen, err := w.send(at, p.in.Packet)
	if err != nil {
		return nil, p.step.at("packet").errorf("%w", err)
	}
	want := fateOf(at.Hook, run.Code)
	same := func(frame []byte) bool { return run.same(at.Hook, want, frame) }
	got, frame := seen.find(want, at.Hook, same)
	verdict := VerdictOf(p.program.Type(), run.Code)
	failure := &Failure{Program: p.program.Name, Sent: bytes.Clone(p.in.Packet), Want: bytes.Clone(run.Packet), Got: frame}
	switch {
	case want != got:
		failure.Differences = fmt.Sprintf("BPF_PROG_RUN: %s, so it is %s; live: it is %s", verdict, want, got)
		return failure, nil
	case want == dropped || same(frame):
		return nil, nil
	}
	failure.Differences = fmt.Sprintf("BPF_PROG_RUN and live: it is %s, as another packet", want)
	failure.Compare(failure.Want, frame)
	return failure, nil
}

// A fate is what becomes of a packet.
type fate string

const (
	delivered  fate = "delivered"
	dropped    fate = "dropped"
	sentBack   fate = "sent back"
	redirected fate = "redirected"
)

// fateOf is what a verdict means at a hook.
func fateOf(hook Hook, code uint32) fate {
	if hook == XDP {
		switch code {
		case 2: // XDP_PASS
			return delivered
		case 3: // XDP_TX
			return sentBack
		case 4: // XDP_REDIRECT
			return redirected
		}
		return dropped
	}
	switch code {
	case 2, 4, 5, 8: // TC_ACT_SHOT, TC_ACT_STOLEN, TC_ACT_QUEUED, TC_ACT_TRAP
		return dropped
	case 7: // TC_ACT_REDIRECT
		return redirected
	}
	return delivered
}

// find tells the fate of a packet by where it was seen, and the frame that was seen there. Where a frame is like what is wanted, nothing else counts: the
// stack may have answered it or sent it on.
func (s *sighting) find(want fate, hook Hook, like func([]byte) bool) (fate, []byte) {
	type view struct {
		fate   fate
		frames [][]byte
	}
	views := []view{{delivered, s.delivered}, {sentBack, s.back}, {redirected, s.away}}
	if hook == TCEgress {
		views = []view{{delivered, s.back}, {redirected, s.away}, {redirected, s.delivered}}
	}
	for _, v := range views {
		// A redirection may lead anywhere: back as well, and to the stack of another device.
		if v.fate != want && want != redirected {
			continue
		}
		for _, frame := range v.frames {
			if like(frame) {
				return want, frame
			}
		}
	}
	for _, v := range views {
		if len(v.frames) > 0 {
			return v.fate, v.frames[0]
		}
	}
	return dropped, nil
}

// same tells whether a frame is the packet that came out, but for the bytes that chance makes. What TC redirects to a neighbour gets its MACs after the
// program.
func (first *rehearsed) same(hook Hook, want fate, frame []byte) bool {
	if first.lengths {
		return true // nothing about it is certain
	}
	if len(first.Packet) != len(frame) {
		return false
	}
	from := 0
	if hook != XDP && want == redirected {
		from = min(12, len(frame))
	}
	for i := from; i < len(frame); i++ {
		if frame[i] != first.Packet[i] && !first.chance[i] {
			return false
		}
	}
	return true
}
