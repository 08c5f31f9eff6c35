package bpf

import (
	"fmt"
	"unsafe"
)

// Event is what one program did with one packet.
type Event struct {
	Time    uint64 // ns of CLOCK_MONOTONIC
	Device  int    // interface index of the device that the program runs on
	Target  int    // interface index of the device that the packet goes to; 0: the program chose none
	Point   Point
	Verdict Verdict
	Reason  DropReason // when Verdict is Drop or Reject
	Len     int        // bytes of the packet; 65535 stands for more, too
	Data    []byte     // its first bytes, from the Ethernet header on, as the program left them: of a rejected one, those of the error
}

func (e Event) String() string {
	if e.Reason != NoDrop {
		return fmt.Sprintf("%s %s %s", e.Point, e.Verdict, e.Reason)
	}
	return fmt.Sprintf("%s %s", e.Point, e.Verdict)
}

// ReadEvent decodes a record of the ring buffer. Data is a copy.
func ReadEvent(record []byte) (Event, error) {
	var raw hostEvent
	if len(record) < int(unsafe.Sizeof(raw)) {
		return Event{}, fmt.Errorf("bpf: event of %d bytes, want %d: is the ring buffer one of this version's programs?", len(record), unsafe.Sizeof(raw))
	}
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&raw)), unsafe.Sizeof(raw)), record)
	if int(raw.Caplen) > len(raw.Data) {
		return Event{}, fmt.Errorf("bpf: event with %d bytes of data, want at most %d", raw.Caplen, len(raw.Data))
	}
	return Event{
		Time:    raw.TimeNs,
		Device:  int(raw.Ifindex),
		Target:  int(raw.Target),
		Point:   Point(raw.Point),
		Verdict: Verdict(raw.Verdict),
		Reason:  DropReason(raw.Reason),
		Len:     int(raw.Len),
		Data:    append([]byte(nil), raw.Data[:raw.Caplen]...),
	}, nil
}
