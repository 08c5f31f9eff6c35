package cilium

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A status is what became of a test. There are two generations of numbers: 0 to 3, and 100 to 103.
type status uint32

const (
	errorStatus status = iota
	passed
	failed
	skipped

	later = 100 // from which the second generation counts
)

// statusOf is the status that a program returned or wrote, in the numbers of the first generation.
func statusOf(code uint32) status {
	if code >= later && code <= uint32(skipped+later) {
		code -= later
	}
	return status(code)
}

func (s status) says() string {
	switch s {
	case errorStatus:
		return "could not be run (it returned an error)"
	case passed:
		return "passed"
	case failed:
		return "failed"
	case skipped:
		return "was skipped"
	}
	return fmt.Sprintf("has the status %d, which means nothing", s)
}

// report is what a check has written into the result map.
type report struct {
	tests []subTest
	log   []string
	err   error // why the rest cannot be read
}

type subTest struct {
	name   string
	status status
	log    []string
}

// Fields of the result map, by the tags they stand under: a number, shifted by 3, and how its value is written (protocol buffers'
// encoding: 0 a varint, 1 8 bytes, 2 a length as varint and so many bytes).
const (
	tagTest = 1<<3 | 2
	tagLog  = 2<<3 | 2 // of the whole check

	tagName    = 1<<3 | 2 // within a test
	tagStatus  = 2 << 3
	tagTestLog = 3<<3 | 2

	tagFormat   = 1<<3 | 2 // within a line of the log
	tagArgument = 2<<3 | 1
)

var errDamaged = errors.New("it is damaged, as it is when a log line with its arguments is longer than 127 bytes")

// decode reads the value of the result map. It ends at the first byte that can start nothing, which is zero unless the map is damaged.
// A check that returns from within a sub-test leaves that one's length zero: its fields follow all the same.
func decode(content []byte) (r report) {
	for len(content) > 0 && content[0] != 0 {
		tag, body, rest, ok := next(content)
		switch {
		case !ok || tag != tagTest && tag != tagLog:
			r.err = errDamaged
			return r
		case tag == tagLog:
			r.log = append(r.log, decodeLine(body))
		case len(body) == 0:
			var t subTest
			t, rest = decodeTest(bytes.TrimPrefix(rest, []byte{0})) // two bytes are kept free for the length
			t.log = append(t.log, "the check returned from within this sub-test")
			r.tests = append(r.tests, t)
		default:
			t, left := decodeTest(body)
			if len(left) > 0 {
				r.err = errDamaged
			}
			r.tests = append(r.tests, t)
		}
		content = rest
	}
	return r
}

// decodeTest reads the fields of a sub-test, as far as they go.
func decodeTest(content []byte) (t subTest, rest []byte) {
	for len(content) > 0 {
		tag, body, rest, ok := next(content)
		switch {
		case !ok:
			return t, content
		case tag == tagName:
			t.name = text(body)
		case tag == tagStatus:
			t.status = statusOf(uint32(uvarint(body)))
		case tag == tagTestLog:
			t.log = append(t.log, decodeLine(body))
		default:
			return t, content
		}
		content = rest
	}
	return t, nil
}

// decodeLine reads a line of the log, and puts its arguments in.
func decodeLine(content []byte) string {
	format, arguments := "", []uint64(nil)
	for len(content) > 0 {
		tag, body, rest, ok := next(content)
		switch {
		case !ok:
			return format + " (damaged)"
		case tag == tagFormat:
			format = text(body)
		case tag == tagArgument:
			arguments = append(arguments, binary.LittleEndian.Uint64(body))
		}
		content = rest
	}
	return printk(format, arguments)
}

// next reads a field: its tag, its value and what follows.
func next(content []byte) (tag byte, body, rest []byte, ok bool) {
	tag, content = content[0], content[1:]
	var n int
	switch tag & 7 {
	case 0:
		if _, n = binary.Uvarint(content); n <= 0 {
			return tag, nil, nil, false
		}
	case 1:
		n = 8
	case 2:
		length, m := binary.Uvarint(content)
		if m <= 0 || length > uint64(len(content)-m) {
			return tag, nil, nil, false
		}
		content, n = content[m:], int(length)
	default:
		return tag, nil, nil, false
	}
	if n > len(content) {
		return tag, nil, nil, false
	}
	return tag, content[:n], content[n:], true
}

func uvarint(b []byte) uint64 {
	n, _ := binary.Uvarint(b)
	return n
}

// text is a string without the zero that C ends it with.
func text(b []byte) string { return strings.ToValidUTF8(strings.TrimRight(string(b), "\x00"), "?") }

// printk writes arguments into a format as bpf_trace_printk does: %d %i %u %x %p with l or ll for 64 bits, and %%. There are no
// strings among them.
func printk(format string, arguments []uint64) string {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(format, "%")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		verb := strings.TrimLeft(after, "l")
		wide := len(verb) < len(after)
		if verb == "" {
			out.WriteString("%" + after)
			return out.String()
		}
		format = verb[1:]
		if verb[0] == '%' {
			out.WriteByte('%')
			continue
		}
		if len(arguments) == 0 {
			out.WriteString("%" + after[:len(after)-len(format)])
			continue
		}
		out.WriteString(number(verb[0], wide, arguments[0]))
		arguments = arguments[1:]
	}
}

// number writes one argument, of 32 bits unless it is wide.
func number(verb byte, wide bool, n uint64) string {
	if !wide && verb != 'p' {
		n = uint64(uint32(n))
	}
	switch verb {
	case 'd', 'i':
		if !wide {
			return strconv.Itoa(int(int32(n)))
		}
		return strconv.FormatInt(int64(n), 10)
	case 'x':
		return strconv.FormatUint(n, 16)
	case 'p':
		return "0x" + strconv.FormatUint(n, 16)
	}
	return strconv.FormatUint(n, 10)
}
