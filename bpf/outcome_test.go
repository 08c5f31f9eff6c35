package bpf_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness/packet"
)

// outcome is what a program made of a packet.
type outcome struct {
	*packet.Packet
	event   bpf.Event
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
