package bench_test

import (
	"context"
	"fmt"

	"github.com/skbench/skbench/bench"
)

// Packets per second of every datapath. Package reports makes a page of what is written.
func ExampleRun() {
	results, err := bench.Run(context.Background(), bench.Options{Quick: true, Only: []string{"pps"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range results.Results {
		fmt.Println(r.Benchmark, r.Params, r.Median, r.Unit)
	}
	if err := results.Write("out/bench"); err != nil {
		fmt.Println(err)
	}
}
