package packet_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness/packet"
)

func TestCookieIsFoundWhereverThePacketGoes(t *testing.T) {
	t.Parallel()
	without := map[string]bool{ // nothing in these has room for one
		"arp request": true, "arp reply": true, "arp announcement": true, "arp in vxlan": true,
		"neighbour solicitation": true, "neighbour advertisement": true, "neighbour announcement": true,
		"error about nothing": true, "error about a scrap": true, "ipv4 last fragment": true, "ipv6 last fragment": true,
		"other ethernet type": true, "other protocol": true, "ip without anything": true, "whole frame": true,
	}
	for _, c := range interesting {
		t.Run(c.name, func(t *testing.T) {
			number, ok := build(t, c.template).Cookie()
			require.Equal(t, !without[c.name], ok)
			if ok {
				require.Equal(t, defaults.Cookie, number)
			}
		})
	}
}

func TestCookieZeroIsNone(t *testing.T) {
	t.Parallel()
	d := defaults
	d.Cookie = 0
	p, err := packet.Build(packet.UDP{Dst: web4, Payload: []byte("query")}, d)
	require.NoError(t, err)
	_, ok := p.Cookie()
	require.False(t, ok)
	require.Equal(t, "query", string(p.Data[42:]))
}

func TestFindCookie(t *testing.T) {
	t.Parallel()
	p := build(t, packet.UDP{Dst: web4, Payload: []byte("query")})
	for n := range p.Data {
		number, ok := packet.FindCookie(p.Data[:n])
		require.Equal(t, n >= 14+20+8+packet.CookieSize, ok, "in the first %d bytes", n)
		if ok {
			require.EqualValues(t, 17, number)
		}
	}
	number, ok := packet.FindCookie(p.Data[42:])
	require.True(t, ok, "without headers")
	require.EqualValues(t, 17, number)
}

func TestSourcePortStaysClearOfOthers(t *testing.T) {
	t.Parallel()
	for cookie := range uint64(20001) {
		port := packet.SourcePort(cookie)
		require.True(t, port >= 20000 && port < 30000, "cookie %d gives port %d", cookie, port)
	}
	require.EqualValues(t, 20017, build(t, packet.TCP{Dst: web4}).Src().Port())
	require.Equal(t, packet.SourcePort(1<<64-1), packet.SourcePort(1<<64-1))
}
