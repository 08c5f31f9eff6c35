package bench

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// little is a run that measures hardly anything, so that all of it can be looked at.
func little() *run {
	return &run{
		plan:    plan{laps: 1, rounds: 10, duration: time.Millisecond, fewer: 4, say: func(string) {}},
		results: &Results{Environment: map[string]string{}},
	}
}

func TestLatencyIsADistribution(t *testing.T) {
	r := little()
	require.NoError(t, r.latency(t.Context()))
	kind := func(result Result) [3]string {
		return [3]string{result.Params["datapath"], result.Params["path"], result.Params["transaction"]}
	}
	figures := map[[3]string][]float64{} // in the order of the quantiles
	floors := map[[3]string][]float64{}  // of the empty path, for those that are compared with it
	floor := func(result Result) [3]string {
		return [3]string{result.Params["path"], result.Params["transaction"], result.Params["quantile"]}
	}
	for _, result := range r.results.Results {
		if kind(result)[0] == "empty" {
			floors[floor(result)] = result.Samples
		}
	}
	for _, result := range r.results.Results {
		k, tail := kind(result), result.Params["quantile"] == "p99"
		require.Equal(t, "us", result.Unit)
		require.Len(t, result.Samples, map[bool]int{false: 10, true: 1}[tail])
		figures[k] = append(figures[k], result.Median)
		if k[0] == "empty" {
			require.Empty(t, result.Empty)
			continue
		}
		require.Equal(t, floors[floor(result)], result.Empty, "the same quantile, of the same rounds")
	}
	require.Len(t, figures, 2*len(pairs))
	for kind, ofKind := range figures {
		require.Len(t, ofKind, len(quantiles)-1, kind)
		require.True(t, slices.IsSorted(ofKind), "%v: %v", kind, ofKind)
		require.Positive(t, ofKind[0])
	}
	require.Len(t, r.results.Absent, len(transactions))
	require.Equal(t, map[string]string{"transaction": "rr", "quantile": "p99.9"}, r.results.Absent[0].Params)
	require.Contains(t, r.results.Absent[0].Reason, "of 1000 transactions in a row, p99.9 is hardly more than the slowest")
}

func TestQuantilesOfSamplesTogether(t *testing.T) {
	var samples [][]time.Duration
	for i := range 10 {
		var times []time.Duration
		for j := range 100 {
			times = append(times, time.Duration(1000-10*j-i)*time.Microsecond)
		}
		samples = append(samples, times)
	}
	for q, want := range map[float64]float64{0.10: 100, 0.50: 500, 0.99: 990, 0.999: 999} {
		require.Equal(t, []float64{want}, each(samples, 10, q))
	}
	require.Equal(t, []float64{500, 499, 498, 497, 496, 495, 494, 493, 492, 491}, each(samples, 1, 0.50))
}

func TestThroughputIsMeasuredBothWays(t *testing.T) {
	r := little()
	require.NoError(t, r.throughput(t.Context()))
	seen := map[[3]string]bool{}
	for _, result := range r.results.Results {
		require.Equal(t, "bit/s", result.Unit)
		require.Positive(t, result.Samples[0])
		seen[[3]string{result.Params["datapath"], result.Params["path"], result.Params["offloads"]}] = true
	}
	require.Len(t, seen, 2*len(pairs))
}

// The runtime's signals are no errors of a talker that waits.
func TestTalkersAreNotInterrupted(t *testing.T) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(ends[0])
	defer unix.Close(ends[1])
	require.NoError(t, unix.SetsockoptTimeval(ends[0], unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: patience}))

	thread, done := make(chan int, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		thread <- unix.Gettid()
		done <- exchange(ends[0], make([]byte, 1))
	}()
	tid := <-thread
	request := make([]byte, 1)
	_, err = read(ends[1], request) // it waits for the answer now, or soon
	require.NoError(t, err)
	for range 1000 {
		require.NoError(t, unix.Tgkill(unix.Getpid(), tid, unix.SIGURG))
		runtime.Gosched()
	}
	_, err = write(ends[1], request)
	require.NoError(t, err)
	require.NoError(t, <-done)
}

// A server that cannot go on is told of, and one that was closed is gone.
func TestTalkersEnd(t *testing.T) {
	r := little()
	up, err := r.bringUpPairs(t.Context(), "latency", false, func(int) error { return unix.EPROTO })
	require.NoError(t, err)
	require.NoError(t, up[0].client.Do(func() error {
		conn, err := dial(up[0].at())
		if err != nil {
			return err
		}
		defer unix.Close(conn)
		require.Error(t, exchange(conn, make([]byte, 1)))
		return nil
	}))
	require.ErrorIs(t, closeAll(up), unix.EPROTO)
}
