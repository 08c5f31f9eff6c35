package bpf

import (
	"errors"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A hash of many batches is visited as a whole, each entry once; what cannot be visited to its end is an error.
func TestEachEntry(t *testing.T) {
	t.Parallel()
	const entries = 5000
	table, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: entries})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, table.Close()) })
	keys, values := make([]uint32, entries), make([]uint64, entries)
	for i := range keys {
		keys[i], values[i] = uint32(i), uint64(i)<<32
	}
	_, err = table.BatchUpdate(keys, values, nil)
	require.NoError(t, err)

	seen := map[uint32]uint64{}
	visits := 0
	require.NoError(t, eachEntry(table, func(key uint32, value uint64) error {
		visits++
		seen[key] = value
		return nil
	}))
	require.Equal(t, entries, visits)
	require.Len(t, seen, entries)
	require.EqualValues(t, 7<<32, seen[7])

	enough := errors.New("enough")
	visits = 0
	require.ErrorIs(t, eachEntry(table, func(uint32, uint64) error {
		visits++
		return enough
	}), enough)
	require.Equal(t, 1, visits)

	gone, err := table.Clone()
	require.NoError(t, err)
	require.NoError(t, gone.Close())
	require.ErrorIs(t, eachEntry(gone, func(uint32, uint64) error { return nil }), unix.EBADF)
}
