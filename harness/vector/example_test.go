package vector_test

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/harness/vector"
)

// A suite in Go. In a test, vector.RunSuite(t, suite) makes a subtest of each vector; vector.Run(t, "suite.yaml") does so for a file.
func ExampleSuite_Run() {
	suite := &vector.Suite{
		Object:  "testdata/mirror_bpfel.o",
		Program: "mirror",
		Vectors: vector.Vectors{{
			Name: "back to the sender",
			Step: vector.Step{
				Packet: vector.Packet{Layers: packet.Layers{packet.UDP{Src: netip.MustParseAddrPort("10.0.0.1:53"), Dst: netip.MustParseAddrPort("10.0.0.2:53")}}},
				Want:   vector.Want{Verdict: "XDP_TX"},
			},
		}},
	}
	result := suite.Run(context.Background(), vector.Options{})
	if err := vector.Err([]*vector.Result{result}); err != nil {
		fmt.Println(err)
	}
	for _, v := range result.Vectors {
		fmt.Println(v.Name, v.Failure == nil)
	}
	// Output:
	// back to the sender true
}

// A suite says where it is wrong, and what there is.
func ExampleReadSuites() {
	_, err := vector.ReadSuites("suite.yaml", []byte("object: filter.o\nvectors:\n  - {pakket: {}}"))
	fmt.Println(err)
	// Output:
	// suite.yaml:3:6: there is no field "pakket"; did you mean "packet"?
}
