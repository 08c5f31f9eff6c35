package cilium

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Any bytes are a report, or one that says it is damaged.
func FuzzResultMap(f *testing.F) {
	line := append([]byte{tagFormat, 6, 'a', ' ', '%', 'l', 'd', 0, tagArgument}, 7, 0, 0, 0, 0, 0, 0, 0)
	field := func(tag byte, body []byte) []byte { return append([]byte{tag, byte(len(body))}, body...) }
	one := append(append([]byte{tagName, 2, 'x', 0}, tagStatus, byte(failed)), field(tagTestLog, line)...)
	f.Add(append(field(tagTest, one), field(tagLog, line)...))
	f.Add(append([]byte{tagTest, 0, 0}, one...))
	f.Add([]byte{tagTest, 0x84, 0, tagName, 2, 'x', 0, 0, 0})
	f.Add([]byte{0xff})
	f.Fuzz(func(t *testing.T, content []byte) {
		r := decode(content)
		lines := len(r.log)
		for _, sub := range r.tests {
			lines += len(sub.log)
		}
		require.LessOrEqual(t, len(r.tests)+lines, 2*len(content)+1)
		if r.err == nil && len(content) > 0 && content[0] != 0 {
			require.NotZero(t, len(r.tests)+len(r.log), "what is there is told or damaged")
		}
	})
}

func TestPrintk(t *testing.T) {
	const minus3 = uint64(1<<64 - 3)
	for _, test := range []struct {
		format    string
		arguments []uint64
		want      string
	}{
		{"plain", nil, "plain"},
		{"%d %i %u %x", []uint64{minus3, minus3, minus3, minus3}, "-3 -3 4294967293 fffffffd"},
		{"%ld %lli %lu %llx", []uint64{minus3, minus3, minus3, minus3}, "-3 -3 18446744073709551613 fffffffffffffffd"},
		{"%p 100%% %u", []uint64{0xbeef, 1}, "0xbeef 100% 1"},
		{"%d and %ld", []uint64{1}, "1 and %ld"},
		{"ends in %", []uint64{1}, "ends in %"},
		{"ends in %ll", []uint64{1}, "ends in %ll"},
	} {
		require.Equal(t, test.want, printk(test.format, test.arguments))
	}
}
