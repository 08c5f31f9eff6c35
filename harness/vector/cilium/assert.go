package cilium

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/skbench/skbench/harness/vector"
)

// assertMap is where checks leave the packets that are not as asserted, from entry 0 on.
const assertMap = "scapy_assert_map"

// How an entry lies in memory: four texts, and two buffers with their lengths before them.
const (
	assertText   = 128
	assertBuffer = 1518
	assertSize   = 4*assertText + 2*(2+assertBuffer)
)

// An assertion is one that failed.
type assertion struct {
	name, file, line, layer string // layer: the first of the packet
	want, got               []byte
}

// takeAssertions reads the assertions that failed, and clears them for the next test.
func takeAssertions(m *ebpf.Map) (all []assertion, err error) {
	if m == nil || m.ValueSize() < assertSize {
		return nil, nil
	}
	for i := range m.MaxEntries() {
		value, err := m.LookupBytes(i)
		if err != nil {
			return nil, fmt.Errorf("cilium: reading %s: %w", assertMap, err)
		}
		a, ok := decodeAssertion(value)
		if !ok {
			break
		}
		all = append(all, a)
		if err := m.Put(i, make([]byte, m.ValueSize())); err != nil {
			return nil, fmt.Errorf("cilium: clearing %s: %w", assertMap, err)
		}
	}
	return all, nil
}

// decodeAssertion reads an entry; ok is false if there is none in it.
func decodeAssertion(value []byte) (a assertion, ok bool) {
	for _, into := range []*string{&a.name, &a.file, &a.line, &a.layer} {
		before, _, _ := bytes.Cut(value[:assertText], []byte{0})
		*into, value = text(before), value[assertText:]
	}
	for _, into := range []*[]byte{&a.want, &a.got} {
		length := min(int(binary.NativeEndian.Uint16(value)), assertBuffer)
		*into, value = value[2:2+length], value[2+assertBuffer:]
	}
	return a, len(a.want) > 0 && len(a.got) > 0
}

// String says where the packets differ first.
func (a *assertion) String() string {
	at := 0
	for at < min(len(a.want), len(a.got)) && a.want[at] == a.got[at] {
		at++
	}
	difference := fmt.Sprintf("want %d bytes, got only %d", len(a.want), len(a.got))
	if at < min(len(a.want), len(a.got)) {
		difference = fmt.Sprintf("byte %d is %02x, want %02x", at, a.got[at], a.want[at])
	}
	return fmt.Sprintf("%s:%s: %s: %s", a.file, a.line, a.name, difference)
}

// explain adds to a failure the assertions that failed, and shows the packets of the first.
func explain(failure *vector.Failure, m *ebpf.Map) error {
	all, err := takeAssertions(m)
	if err != nil || failure == nil || len(all) == 0 {
		return err
	}
	for i := range all {
		failure.Differences += "\n" + all[i].String()
	}
	if first := all[0]; first.layer == "Ether" {
		failure.Compare(first.want, first.got)
	}
	return nil
}
