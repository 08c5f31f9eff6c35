package cilium

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cilium/ebpf"

	"github.com/skbench/skbench/harness/vector"
)

// blank is the length of the packet that the first program of a test gets, all zeros: the most that the kernel takes, a page less
// XDP's headroom and what an skb has behind its data.
const blank = 4096 - 256 - 320

// Sizes and places in struct __sk_buff (include/uapi/linux/bpf.h).
const (
	skbSize = 192
	wireLen = 160
)

// run runs the test. The first result is its own, those of its sub-tests follow.
func (t *test) run(loaded *vector.Loaded, o *vector.Options, suite string) (results []vector.VectorResult, err error) {
	start := time.Now()
	out, failure := t.steps(loaded)
	var reported report
	if failure == nil {
		content, err := loaded.Maps[resultMap].LookupBytes(uint32(0))
		if err != nil {
			return nil, fmt.Errorf("cilium: reading %s: %w", resultMap, err)
		}
		reported = decode(content)
		failure = t.judge(out, &reported)
	}
	if err := clear(loaded); err != nil {
		return nil, err
	}
	whole := vector.VectorResult{Name: t.name, Log: reported.log, Failure: failure, Duration: time.Since(start)}
	if statusOf(out.code) == skipped && failure == nil {
		whole.Skipped = reason(reported.log)
	}
	if failure != nil {
		failure.Sent, failure.Got = out.sent, out.got
	}
	if err := explain(failure, loaded.Maps[assertMap]); err != nil {
		return nil, err
	}
	if failure != nil {
		if err := o.Keep(suite, t.name, failure); err != nil {
			return nil, err
		}
	}
	results = append(results, whole)
	for _, sub := range reported.tests {
		result := vector.VectorResult{Name: t.name + "/" + sub.name, Log: sub.log}
		switch sub.status {
		case passed:
		case skipped:
			result.Skipped = reason(sub.log)
		default:
			result.Failure = &vector.Failure{Program: t.check, Differences: because("the sub-test "+sub.status.says(), sub.log)}
		}
		results = append(results, result)
	}
	return results, nil
}

// An outcome is what the programs of a test came to.
type outcome struct {
	code      uint32 // of the check
	sent, got []byte // the packet before and after the last program but the check; nil where there is none
}

// steps runs the programs.
func (t *test) steps(loaded *vector.Loaded) (out outcome, failure *vector.Failure) {
	in := vector.Input{Packet: make([]byte, blank)}
	for _, name := range []string{t.pktgen, t.setup, t.check} {
		if name == "" {
			continue
		}
		program := loaded.Programs[name]
		if name != t.check {
			out.sent = slices.Clone(in.Packet)
		} else if t.setup != "" {
			in.Packet = append(binary.NativeEndian.AppendUint32(nil, out.code), in.Packet...)
		}
		if in.Context == nil && program.Type() != ebpf.XDP {
			in.Context = make([]byte, skbSize)
		}
		// What the context says of the packet's length on the wire is what it was at the start of the step before.
		if in.Context != nil && binary.NativeEndian.Uint32(in.Context[wireLen:]) < uint32(len(in.Packet)) {
			binary.NativeEndian.PutUint32(in.Context[wireLen:], 0)
		}
		ran, err := program.Run(in)
		if err != nil {
			return out, &vector.Failure{Program: name, Differences: err.Error()}
		}
		in = vector.Input{Packet: ran.Packet, Context: ran.Context}
		out.code = ran.Code
		if name != t.check {
			out.got = slices.Clone(ran.Packet)
		}
		if status := status(ran.Code); name != t.check && (status == errorStatus+later || status == failed+later) {
			return out, &vector.Failure{Program: name, Differences: fmt.Sprintf("%s %s before anything could be checked", name, statusOf(ran.Code).says())}
		}
	}
	return out, nil
}

// judge says what is wrong with the test, if anything is: what its check returned, or a sub-test.
func (t *test) judge(out outcome, r *report) *vector.Failure {
	fail := func(text string) *vector.Failure {
		return &vector.Failure{Program: t.check, Differences: because(text, r.log)}
	}
	if s := statusOf(out.code); s != passed && s != skipped {
		return fail("the check " + s.says())
	}
	if r.err != nil {
		return fail(fmt.Sprintf("what the check reported cannot be read: %s", r.err))
	}
	var bad []string
	for _, sub := range r.tests {
		if sub.status != passed && sub.status != skipped {
			bad = append(bad, sub.name)
		}
	}
	if bad != nil {
		return fail(fmt.Sprintf("%d of %d sub-tests failed: %s", len(bad), len(r.tests), strings.Join(bad, ", ")))
	}
	return nil
}

// because is a text with the lines that a test has logged.
func because(text string, log []string) string {
	return strings.Join(append([]string{text}, log...), "\n")
}

// reason is why a test was skipped, as far as it says.
func reason(log []string) string {
	if len(log) == 0 {
		return "the test skips itself, and does not say why"
	}
	return strings.Join(log, "; ")
}

// clear makes the maps zero that every test of an object finds so.
func clear(loaded *vector.Loaded) error {
	for _, name := range []string{resultMap, metaMap} {
		m := loaded.Maps[name]
		if m == nil {
			continue
		}
		if err := m.Put(uint32(0), make([]byte, m.ValueSize())); err != nil {
			return fmt.Errorf("cilium: clearing %s: %w", name, err)
		}
	}
	return nil
}
