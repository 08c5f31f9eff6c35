package vector

import (
	"bytes"
	"fmt"

	"github.com/cilium/ebpf"
)

// Measurement says how vectors are timed: so many samples, of so many runs each.
type Measurement struct{ Samples, Runs int }

// DefaultMeasurement takes about half a second a vector.
var DefaultMeasurement = Measurement{Samples: 9, Runs: 100_000}

// maxRing is how many frames of a capture are timed at most, in turn.
const maxRing = 1024

// timers are those of the programs of a suite.
type timers map[*Program]*Timer

func (ts timers) close() error {
	for _, t := range ts {
		if err := t.Close(); err != nil {
			return err
		}
	}
	return nil
}

// time measures the last step of a vector, on maps as the steps before it left them; the maps are not restored between its runs.
// Programs that cannot be timed give nil.
func (r *runner) time(steps []prepared) (*Timing, error) {
	p := &steps[len(steps)-1]
	if kind := p.program.Type(); kind != ebpf.XDP && kind != ebpf.SchedCLS {
		return nil, nil
	}
	packets, err := r.timed(p)
	if err != nil || len(packets) == 0 {
		return nil, err
	}
	timer := r.timers[p.program]
	if timer == nil {
		if timer, err = NewTimer(p.program.Program, packets...); err != nil {
			return nil, p.step.at("packet").errorf("%w", err)
		}
		r.timers[p.program] = timer
	} else if err := timer.Replace(packets...); err != nil {
		return nil, p.step.at("packet").errorf("%w", err)
	}
	timing, err := timer.Measure(r.options.Time.Samples, r.options.Time.Runs)
	if err != nil {
		return nil, p.step.at("packet").errorf("%w", err)
	}
	return &timing, nil
}

// timed are the packets of a step, each with the code that the program returns for it now.
func (r *runner) timed(p *prepared) ([]Timed, error) {
	if p.step.Foreach == nil {
		timed, err := r.codeOf(p, p.in)
		return []Timed{timed}, err
	}
	var packets []Timed
	for _, err := range r.frames(p) {
		if err != nil {
			return nil, err
		}
		timed, err := r.codeOf(p, Input{Packet: bytes.Clone(p.in.Packet), Meta: p.in.Meta, Context: bytes.Clone(p.in.Context)})
		if err != nil {
			return nil, err
		}
		if packets = append(packets, timed); len(packets) == maxRing {
			break
		}
	}
	return packets, nil
}

func (r *runner) codeOf(p *prepared, in Input) (Timed, error) {
	err := r.buffers.run(p.program, &in)
	return Timed{Input: in, Code: r.buffers.Code}, err
}

// String is the timing on one line. A program that costs less than its packet's restoring varies by may have a cost below nothing: that is said.
func (t Timing) String() string {
	low, high := t.Range()
	text := fmt.Sprintf("%.1f ns a packet (%.1f to %.1f in %d runs; restoring took another %.1f)", t.Median(), low, high, len(t.Samples), quantile(t.Restoring, 0.5))
	if low <= 0 {
		text += ", too little to be told from none: take more --samples on a quiet machine"
	}
	if t.Packets > 1 {
		text += fmt.Sprintf(", %d packets in turn", t.Packets)
	}
	return text
}
