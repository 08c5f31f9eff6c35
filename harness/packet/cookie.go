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
