package packet_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness/packet"
)

func TestSideBySide(t *testing.T) {
	sent := build(t, packet.Layers{packet.IPv4{TTL: 64}, packet.TCP{Src: addrPort("10.0.0.1:1000"), Dst: addrPort("10.0.0.2:80")}})
	got := build(t, packet.Layers{packet.IPv4{TTL: 62}, packet.TCP{Src: addrPort("10.0.0.1:1000"), Dst: addrPort("10.0.0.3:80")}})
	want := packet.Layers{packet.IPv4{TTL: 63}, packet.TCP{Dst: addrPort("10.0.0.3:80")}}

	rows := map[string][]string{}
	for _, line := range strings.Split(packet.SideBySide(sent, want, got), "\n")[1:] {
		words := strings.Fields(line)
		if words[0] == "->" || words[0] == "~" {
			rows[words[1]] = append([]string{words[0]}, words[2:]...)
			continue
		}
		rows[words[0]] = words[1:]
	}
	require.Equal(t, []string{"->", "64", "63", "62"}, rows["IPv4.TTL"])
	require.Equal(t, []string{"10.0.0.2:80", "10.0.0.3:80", "10.0.0.3:80"}, rows["TCP.Dst"])
	require.Equal(t, []string{"~", "10.0.0.2", "10.0.0.3"}, rows["IPv4.Dst"], "changed, and nobody asked")
	require.Equal(t, []string{"10.0.0.1", "10.0.0.1"}, rows["IPv4.Src"])
	require.NotContains(t, rows, "TCP.Urgent", "zero everywhere")
	require.Contains(t, packet.SideBySide(sent, packet.Layers{packet.UDP{Dst: addrPort("10.0.0.3:53")}}, got), "-> UDP.Dst")
}
