package object_test

import (
	"context"
	"fmt"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/object"
	"github.com/skbench/skbench/topo"
)

// An ELF object on the nodes of a lab, without a test around it: in one, harness.Start does the same.
func ExampleDatapath() {
	ctx := context.Background()
	lab, err := harness.New(ctx, topo.Cluster(2), object.Datapath("testdata/filter.yaml"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer lab.Close()
	fmt.Println(lab.Datapath().Name(), lab.Pod("web-on-node2").Addr())
}
