package bpf_test

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness/packet"
)

// outcome is what a program made of a packet.
type outcome struct {
	*packet.Packet
	event   bpf.Event
	sent    []byte
	changed bool
	handed  bool // XDP told TC that it has translated the packet
}

// is fails the test unless the program decided so.
func (o outcome) is(t testing.TB, v bpf.Verdict, target int) {
	t.Helper()
	require.Equal(t, v.String(), o.event.Verdict.String(), "%s: %s", o.event, o.Packet)
	require.Equal(t, target, o.event.Target, "target of %s", o.event)
}

// untouched fails the test unless the packet went to the stack as it came.
func (o outcome) untouched(t testing.TB) {
	t.Helper()
	o.is(t, bpf.Pass, 0)
	require.False(t, o.changed, "changed: %s", o.Packet)
}

// dropped fails the test unless the packet was dropped for that reason.
func (o outcome) dropped(t testing.TB, why bpf.DropReason) {
	t.Helper()
	require.Equal(t, bpf.Drop.String()+" "+why.String(), o.event.Verdict.String()+" "+o.event.Reason.String(), "%s", o.Packet)
}

// told fails the test unless the packet was dropped for that reason and became an ICMP error about itself, as it was, back
// to its sender.
func (o outcome) told(t testing.TB, why bpf.DropReason, icmp packet.Template) {
	t.Helper()
	require.Equal(t, bpf.Reject.String()+" "+why.String(), o.event.Verdict.String()+" "+o.event.Reason.String(), "%s", o.Packet)
	require.Equal(t, o.event.Device, o.event.Target, "it goes back by the device that it came by")
	require.Equal(t, o.sent[6:12], o.Data[:6], "and to the MAC that it came from")
	require.Equal(t, o.sent[:6], o.Data[6:12])
	room, most := 28, 576 // of headers, RFC 1812 and RFC 4443
	if o.sent[l3]>>4 == 6 {
		room, most = 48, 1280
	}
	require.Equal(t, len(o.Data), lengthOf(o.Data), "the length that its header says")
	o.became(t, icmp)
	require.Equal(t, o.sent[l3:min(len(o.sent), l3+most-room)], o.Data[l3+room:], "the quote: %s", o.Packet)
}

// became fails the test unless the packet is now what the layers say.
func (o outcome) became(t testing.TB, layers ...packet.Template) {
	t.Helper()
	if mismatch := packet.Match(packet.Layers(layers), o.Packet); mismatch != nil {
		require.Fail(t, mismatch.Error())
	}
}

// snatted fails the test unless the packet's source is the node's with a port that is reserved for it, which it returns.
func (o outcome) snatted(t testing.TB, f family) uint16 {
	t.Helper()
	require.Equal(t, node1.addr(f), o.Src().Addr(), "%s", o.Packet)
	require.GreaterOrEqual(t, o.Src().Port(), uint16(49152), "%s", o.Packet)
	return o.Src().Port()
}

// echoID is the port that address translation chose as source: of an echo request, the identifier.
func echoID(t testing.TB, o outcome) uint16 {
	t.Helper()
	if icmp, ok := o.ICMP(); ok {
		return icmp.ID
	}
	if icmp, ok := o.ICMPv6(); ok {
		return icmp.ID
	}
	return o.Src().Port()
}

// lengthOf is how long a frame is by its IP header; 0 if it has none.
func lengthOf(data []byte) int {
	switch binary.BigEndian.Uint16(data[12:]) {
	case 0x0800:
		return l3 + int(binary.BigEndian.Uint16(data[l3+2:]))
	case 0x86dd:
		return l3 + 40 + int(binary.BigEndian.Uint16(data[l3+4:]))
	}
	return 0
}
