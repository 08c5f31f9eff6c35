package vector_test

import (
	"bufio"
	"encoding/binary"
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/harness/vector"
)

var captureMiB = flag.Int("capture-mib", 32, "size of the capture of TestCapturesAreStreamed")

// A capture larger than memory costs no more of it than a small one: every frame of a pipe goes through a program.
func TestCapturesAreStreamed(t *testing.T) {
	const most = 200 // MiB
	frame := frame(t, 80, 1500)
	frames := *captureMiB << 20 / (16 + len(frame))
	folder := t.TempDir()
	pipe := filepath.Join(folder, "large.pcap")
	require.NoError(t, unix.Mkfifo(pipe, 0o600))
	wrote := make(chan error, 1)
	go func() { wrote <- writeLarge(pipe, frame, frames) }()

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	suite := in(t, folder, "object: mirror_bpfel.o\nprogram: mirror\nvectors: [{foreach: {file: large.pcap}, want: {verdict: XDP_TX}}]")
	result := suite.Run(t.Context(), vector.Options{Artifacts: folder})
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	require.NoError(t, result.Err)
	require.Zero(t, result.Failed(), "%v", result.Vectors)
	require.NoError(t, <-wrote)

	var usage unix.Rusage
	require.NoError(t, unix.Getrusage(unix.RUSAGE_SELF, &usage))
	t.Logf("%d frames, %d MiB: %s, %.0f ns a frame; %d MiB of memory at most, %.1f MiB allocated on the way",
		frames, *captureMiB, took.Round(time.Millisecond), float64(took.Nanoseconds())/float64(frames), usage.Maxrss>>10, float64(after.TotalAlloc-before.TotalAlloc)/(1<<20))
	if *captureMiB > most { // else other tests of the process have had more
		require.Less(t, usage.Maxrss>>10, int64(most), "MiB of memory")
	}
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(16<<20), "bytes allocated, of which a frame has none")
}

// writeLarge writes a capture of the same frame time and again.
func writeLarge(path string, frame []byte, frames int) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	out := bufio.NewWriterSize(file, 1<<20)
	var record []byte
	for _, word := range []uint32{0xa1b2c3d4, 2 | 4<<16, 0, 0, 65535, 1} {
		record = binary.LittleEndian.AppendUint32(record, word)
	}
	_, err = out.Write(record)
	record = record[:0]
	for _, word := range []uint32{1, 2, uint32(len(frame)), uint32(len(frame))} {
		record = binary.LittleEndian.AppendUint32(record, word)
	}
	record = append(record, frame...)
	for i := 0; i < frames && err == nil; i++ {
		_, err = out.Write(record)
	}
	if err != nil {
		return err
	}
	return out.Flush()
}
