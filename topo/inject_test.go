package topo_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// now is the clock of captures.
func now() uint64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return uint64(ts.Nano())
}

// inject builds a packet, fills in what the machine would, and sends it.
func inject(t testing.TB, m *topo.Machine, dst netip.Addr, template packet.Template, cookie uint64) {
	t.Helper()
	d, mac, err := m.NextHop(dst)
	require.NoError(t, err)
	p, err := packet.Build(template, packet.Defaults{SrcMAC: d.MAC, DstMAC: mac, SrcIPv4: m.IPv4(), SrcIPv6: m.IPv6(), Cookie: cookie})
	require.NoError(t, err)
	require.NoError(t, m.Inject(d.Name, p.Data))
}

// send injects a frame with a text, which it returns, that no kernel answers: its EtherType is one for experiments (IEEE 802).
func send(t testing.TB, m *topo.Machine, dst netip.Addr, text string) string {
	t.Helper()
	d, mac, err := m.NextHop(dst)
	require.NoError(t, err)
	frame := slices.Concat(mac, d.MAC, []byte{0x88, 0xb5}, []byte(text))
	require.NoError(t, m.Inject(d.Name, frame))
	return text
}
