package capture_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness/vector/capture"
	"github.com/skbench/skbench/topo"
)

// pcap is a capture of frames.
func pcap(order binary.AppendByteOrder, magic, link uint32, frames ...[]byte) []byte {
	var out []byte
	for _, word := range []uint32{magic, 2 | 4<<16, 0, 0, 65535, link} {
		out = order.AppendUint32(out, word)
	}
	for _, f := range frames {
		for _, word := range []uint32{1, 2, uint32(len(f)), uint32(len(f)) + 7} {
			out = order.AppendUint32(out, word)
		}
		out = append(out, f...)
	}
	return out
}

// block is one of pcapng.
func block(order binary.AppendByteOrder, kind uint32, words []uint32, data []byte) []byte {
	var body []byte
	for _, word := range words {
		body = order.AppendUint32(body, word)
	}
	body = append(body, data...)
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	out := order.AppendUint32(order.AppendUint32(nil, kind), uint32(len(body)+12))
	return order.AppendUint32(append(out, body...), uint32(len(body)+12))
}

func pcapng(order binary.AppendByteOrder, frames ...[]byte) []byte {
	out := block(order, 0x0a0d0d0a, []uint32{0x1a2b3c4d, 1, 0xffffffff, 0xffffffff}, nil)
	link := uint32(1) // in the first two bytes, of either order
	if order == binary.AppendByteOrder(binary.BigEndian) {
		link <<= 16
	}
	out = append(out, block(order, 1, []uint32{link, 0}, nil)...)
	out = append(out, block(order, 5, []uint32{1, 2, 3}, nil)...) // statistics, of no use here
	for i, f := range frames {
		switch i % 2 {
		case 0:
			out = append(out, block(order, 6, []uint32{0, 0, 0, uint32(len(f)), uint32(len(f)) + 7}, f)...)
		default:
			out = append(out, block(order, 3, []uint32{uint32(len(f))}, f)...)
		}
	}
	return out
}

func frames(t *testing.T, content []byte) (all [][]byte, err error) {
	t.Helper()
	r, err := capture.New(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	for {
		f, err := r.Next()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		require.Equal(t, len(all)+1, f.Number)
		all = append(all, bytes.Clone(f.Data))
	}
}

var three = [][]byte{bytes.Repeat([]byte{1}, 60), bytes.Repeat([]byte{2}, 61), bytes.Repeat([]byte{3}, 1500)}

func TestFramesOfEveryForm(t *testing.T) {
	var ours bytes.Buffer
	require.NoError(t, topo.WritePcapng(&ours, []topo.Device{{Machine: "a", Name: "eth0"}}, []topo.Frame{{Data: three[0]}, {Data: three[1]}, {Data: three[2]}}))
	for name, content := range map[string][]byte{
		"pcap, microseconds, little":  pcap(binary.LittleEndian, 0xa1b2c3d4, 1, three...),
		"pcap, nanoseconds, little":   pcap(binary.LittleEndian, 0xa1b23c4d, 1, three...),
		"pcap, big":                   pcap(binary.BigEndian, 0xa1b2c3d4, 1, three...),
		"pcap with frame check bytes": pcap(binary.LittleEndian, 0xa1b2c3d4, 1|4<<28|1<<26, three...),
		"pcapng, little":              pcapng(binary.LittleEndian, three...),
		"pcapng, big":                 pcapng(binary.BigEndian, three...),
		"pcapng, two sections":        append(pcapng(binary.LittleEndian, three[0]), pcapng(binary.BigEndian, three[1], three[2])...),
		"pcapng, ours":                ours.Bytes(),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := frames(t, content)
			require.NoError(t, err)
			require.Equal(t, three, got)
		})
	}
}

func TestLengthOnTheWire(t *testing.T) {
	r, err := capture.New(bytes.NewReader(pcap(binary.LittleEndian, 0xa1b2c3d4, 1, three[0])))
	require.NoError(t, err)
	f, err := r.Next()
	require.NoError(t, err)
	require.Equal(t, 67, f.Length)
}

func TestDamagedCaptures(t *testing.T) {
	whole, ng := pcap(binary.LittleEndian, 0xa1b2c3d4, 1, three...), pcapng(binary.LittleEndian, three...)
	long := bytes.Clone(whole)
	binary.LittleEndian.PutUint32(long[24+8:], 1<<30)
	for name, test := range map[string]struct {
		content []byte
		says    string
	}{
		"empty":                         {nil, "no pcap or pcapng"},
		"text":                          {[]byte("this is a text, not a capture at all"), "no pcap or pcapng"},
		"another link":                  {pcap(binary.LittleEndian, 0xa1b2c3d4, 113), "link type 113"},
		"cut in a frame":                {whole[:len(whole)-1], "frame 3: the capture ends within it"},
		"cut in a head":                 {whole[:24+16+60+3], "frame 2: the capture ends within it"},
		"frame of a gigabyte":           {long, "frame 1: it is said to be 1073741824 bytes long"},
		"pcapng, cut":                   {ng[:len(ng)-8], "frame 3: the capture ends within it"},
		"pcapng, block of no length":    {append(bytes.Clone(ng), 6, 0, 0, 0, 0, 0, 0, 0), "frame 4: a block is said to be 0 bytes long"},
		"pcapng, frame of no interface": {append(bytes.Clone(ng), block(binary.LittleEndian, 6, []uint32{7, 0, 0, 0, 0}, nil)...), "interface 7"},
		"pcapng, longer than its block": {append(bytes.Clone(ng), block(binary.LittleEndian, 6, []uint32{0, 0, 0, 99, 99}, nil)...), "ends within it"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := frames(t, test.content)
			require.ErrorContains(t, err, test.says)
		})
	}
}

// Any bytes end in frames or an error, and in no more frames than there are bytes for.
func FuzzReader(f *testing.F) {
	f.Add(pcap(binary.LittleEndian, 0xa1b2c3d4, 1, three[:2]...))
	f.Add(pcap(binary.BigEndian, 0xa1b23c4d, 1, three[:2]...))
	f.Add(pcapng(binary.LittleEndian, three[:2]...))
	f.Add(pcapng(binary.BigEndian, three[:2]...))
	f.Fuzz(func(t *testing.T, content []byte) {
		got, _ := frames(t, content)
		bytes := 0
		for _, frame := range got {
			bytes += len(frame)
		}
		require.LessOrEqual(t, bytes, len(content))
	})
}

// repeated is a head, and then one block time and again.
type repeated struct {
	rest, block []byte
	left        int
}

func (r *repeated) Read(into []byte) (int, error) {
	if len(r.rest) == 0 {
		if r.left == 0 {
			return 0, io.EOF
		}
		r.left--
		r.rest = r.block
	}
	n := copy(into, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// 150 MB cost what a frame costs.
func TestCapturesAreNotKeptInMemory(t *testing.T) {
	const frames = 100_000 // of 1,500 bytes
	head, one := pcap(binary.LittleEndian, 0xa1b2c3d4, 1), pcap(binary.LittleEndian, 0xa1b2c3d4, 1, three[2])
	ngHead, ngOne := pcapng(binary.LittleEndian), pcapng(binary.LittleEndian, three[2])
	for name, in := range map[string]*repeated{
		"pcap":   {rest: head, block: one[len(head):], left: frames},
		"pcapng": {rest: ngHead, block: ngOne[len(ngHead):], left: frames},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r, err := capture.New(in)
			require.NoError(t, err)
			count := 0
			for {
				f, err := r.Next()
				if err == io.EOF {
					break
				}
				require.NoError(t, err)
				count = f.Number
			}
			runtime.ReadMemStats(&after)
			require.Equal(t, frames, count)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20), "bytes allocated")
		})
	}
}
