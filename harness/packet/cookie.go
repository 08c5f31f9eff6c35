package packet

import (
	"bytes"
	"encoding/binary"
)

// The cookie is how a packet is recognised after its headers were rewritten:
// CookieMagic and a number of 8 bytes, big endian, at the start of the payload
// of TCP, UDP and ICMP echo.
const (
	CookieMagic = "skbench\x00"
	CookieSize  = len(CookieMagic) + 8
)

var cookieMagic = []byte(CookieMagic)

// FindCookie returns the number of the first cookie that stands anywhere in b.
// It needs no headers, so b may be a part of a frame.
func FindCookie(b []byte) (number uint64, ok bool) {
	at := bytes.Index(b, cookieMagic)
	if at < 0 || len(b)-at < CookieSize {
		return 0, false
	}
	return binary.BigEndian.Uint64(b[at+len(CookieMagic):]), true
}

func cookieBytes(number uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte(CookieMagic), number)
}

// afterCookie returns a payload without the cookie that it starts with, if any.
func afterCookie(payload []byte) []byte {
	if len(payload) >= CookieSize && bytes.HasPrefix(payload, cookieMagic) {
		return payload[CookieSize:]
	}
	return payload
}

// holdsCookie reports whether the payload of t starts with a cookie.
func holdsCookie(t Template) bool {
	switch t := t.(type) {
	case TCP, UDP:
		return true
	case ICMP:
		return t.Type.isEcho() || t.Type == 0 // 0 is open as well as an echo reply
	case ICMPv6:
		return t.Type.isEcho() || t.Type == 0
	}
	return false
}
