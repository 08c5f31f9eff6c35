package bench_test

import (
	"context"
	"fmt"

	"github.com/skbench/skbench/bench"
	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/ebpf"
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

// Whether a change of the datapath costs anything: skbench report compare out/old out/new tells
// by how much, lap by lap.
func ExampleSideBySide() {
	runs, err := bench.SideBySide{
		Datapaths: []harness.Datapath{ebpf.Datapath(), ebpf.Datapath(ebpf.WithoutTrace())},
	}.Run(context.Background(), func(what string) { fmt.Println(what) })
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, name := range []string{"out/old", "out/new"} {
		if err := runs[i].Write(name); err != nil {
			fmt.Println(err)
		}
	}
}
