package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Every benchmark is in exactly one shard, and no shard is idle.
func TestShardsHaveEveryBenchmarkOnce(t *testing.T) {
	for _, quick := range []bool{false, true} {
		all, err := choose(Options{Quick: quick})
		require.NoError(t, err)
		for n := 1; n <= min(4, len(all)); n++ {
			owners := map[string]int{}
			for i := range n {
				part, err := choose(Options{Quick: quick, Shard: Shard{i + 1, n}})
				require.NoError(t, err)
				require.NotEmpty(t, part)
				for _, b := range part {
					owners[b.name]++
				}
			}
			for _, b := range all {
				require.Equal(t, 1, owners[b.name], "%s in %d shards", b.name, n)
			}
			require.Len(t, owners, len(all))
		}
		_, err = choose(Options{Quick: quick, Shard: Shard{1, len(all) + 1}})
		require.ErrorContains(t, err, "too few for")
	}
}

func TestShardsAreRead(t *testing.T) {
	for text, want := range map[string]Shard{"1/1": {1, 1}, "2/4": {2, 4}} {
		var got Shard
		require.NoError(t, got.UnmarshalText([]byte(text)))
		require.Equal(t, want, got)
		require.Equal(t, text, got.String())
	}
	for _, text := range []string{"", "2", "0/4", "5/4", "-1/2", "1/2/3", "1/2x", "one/two"} {
		require.ErrorContains(t, new(Shard).UnmarshalText([]byte(text)), fmt.Sprintf("%q is no shard: write 1/4", text))
	}
}

func TestBenchmarksAreChosen(t *testing.T) {
	names := func(o Options) (names []string) {
		chosen, err := choose(o)
		require.NoError(t, err)
		for _, b := range chosen {
			names = append(names, b.name)
		}
		return names
	}
	require.Equal(t, Benchmarks(), names(Options{}))
	require.Equal(t, []string{"services"}, names(Options{Only: []string{"services"}}))
	require.Contains(t, names(Options{Only: []string{"pps"}}), "pps-ipv6", "a name stands for all that begin with it")
	require.Equal(t, []string{"pps"}, names(Options{Only: []string{"pps"}, Quick: true}))
	for _, only := range [][]string{{"pqs"}, {"services", "pqs"}} {
		_, err := choose(Options{Only: only})
		require.ErrorContains(t, err, "pqs")
	}
	_, err := choose(Options{Only: []string{"pps-ipv6"}, Quick: true})
	require.ErrorContains(t, err, "a quick one fewer")
}

// Each row has a figure, or the reason why there is none.
func TestEveryRowIsMeasuredOrAbsent(t *testing.T) {
	r := &run{plan: plan{rounds: 10, duration: time.Millisecond, say: func(string) {}}, results: &Results{}}
	require.NoError(t, r.rates(t.Context(), usual, everyRow, false))
	told := map[string]int{}
	empty := r.results.Results[0]
	require.Equal(t, "empty", empty.Params["datapath"])
	for _, result := range r.results.Results {
		if result.Benchmark == "pps" {
			if result.Params["datapath"] != "empty" {
				require.Equal(t, empty.Samples, result.Empty, "measured in the same rounds")
			}
			require.Equal(t, "inline", result.Params["mode"])
			require.Positive(t, result.Median)
			told[result.Params["datapath"]]++
		} else {
			for i, alone := range result.Samples {
				require.InEpsilon(t, 1e9/empty.Samples[i], result.Empty[i], 1e-6)
				require.Positive(t, alone+result.Empty[i])
			}
		}
	}
	for _, absent := range r.results.Absent {
		require.NotEmpty(t, absent.Reason)
		told[absent.Params["datapath"]]++
	}
	for _, row := range append([]row{{name: "empty"}}, everyRow...) {
		require.Equal(t, 1, told[row.name], row.name)
	}
}

// A backend on the node itself gets every packet, translated.
func TestLocalBackendsAreServed(t *testing.T) {
	r := &run{plan: plan{rounds: 10, duration: time.Millisecond, say: func(string) {}}, results: &Results{}}
	require.NoError(t, r.rates(t.Context(), usual.with(func(t *traffic) { t.local = true }), mainRows, false))
	for _, result := range r.results.Results {
		require.Equal(t, "local", result.Params["backend"])
		if result.Benchmark == "pps" { // a cost is a difference, and below nothing where others had the CPU meanwhile
			require.Positive(t, result.Samples[0])
		}
	}
}

// Each lap brings the sides up anew and takes as many samples as the others, and figures of all
// laps are one. What failed is not tried again.
func TestLaps(t *testing.T) {
	ups, once, failed := 0, 0, 0
	tc, ipvs := everyRow[2], everyRow[5]
	r := &run{plan: plan{laps: 2, rounds: 3, duration: 5 * time.Millisecond, loads: []int{75000}}, results: &Results{}}
	r.say = func(what string) {
		if strings.Contains(what, " of 2: bringing up the empty path") {
			ups++
		}
	}
	err := r.all(t.Context(), []benchmark{
		{name: "pps", of: "pps", measure: func(ctx context.Context, r *run) error { return r.rates(ctx, usual, []row{tc, ipvs}, true) }},
		{name: "odd", of: "odd", measure: func(context.Context, *run) error { failed++; return errors.New("no such luck") }},
		{name: "same", of: "same", laps: 1, measure: func(context.Context, *run) error { once++; return nil }},
	})
	require.EqualError(t, err, "odd: no such luck")
	require.Equal(t, []int{2, 1, 1}, []int{ups, failed, once})
	var got []string
	for _, result := range r.results.Results {
		got = append(got, result.Benchmark+" "+result.Params["datapath"])
		require.Equal(t, 2, result.Laps)
		require.Len(t, result.Samples, 6)
		if result.Params["datapath"] != "empty" {
			require.Len(t, result.Empty, 6)
		}
	}
	if lacking(ipvs.datapath(usual)) != "" {
		require.Equal(t, []string{"pps empty", "pps tc", "cost tc", "cpu tc"}, got)
		require.Len(t, r.results.Absent, 2, "ipvs, told once, and what failed")
	}
}

// What takes part in fewer laps does so at even distances.
func TestLapsOfABenchmark(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		laps, of int
		want     []int
	}{
		{0, 3, []int{0, 1, 2}}, {1, 12, []int{0}}, {6, 12, []int{0, 2, 4, 6, 8, 10}}, {6, 2, []int{0, 1}},
	} {
		var in []int
		for lap := range test.of {
			if (benchmark{laps: test.laps}).isIn(lap, test.of) {
				in = append(in, lap)
			}
		}
		require.Equal(t, test.want, in, "%d of %d", test.laps, test.of)
	}
}

// A path that is slow gets as long a sample as a fast one, and not as many frames.
func TestRestOfASample(t *testing.T) {
	for _, test := range []struct {
		sent    int
		took, d time.Duration
		want    int
	}{
		{1024, time.Millisecond, 4 * time.Millisecond, 3072},
		{1024, 3900 * time.Microsecond, 4 * time.Millisecond, 64},
		{1024, 9 * time.Millisecond, 4 * time.Millisecond, 64},
		{1024, 100 * time.Microsecond, time.Second, batch / 2},
	} {
		require.Equal(t, test.want, rest(test.sent, test.took, test.d), test)
	}
}

// Packets are offered in whole bursts, and their cost is for the rate and not for the burst.
func TestCPUPartIsOfTheRate(t *testing.T) {
	s := sample{wireCount: wireCount{Sent: 128}, cpu: time.Millisecond}
	require.InDelta(t, 50, s.cpuPart(64000), 1e-9, "they are offered in 2 ms")
}
