package reports_test

import (
	"fmt"

	"github.com/skbench/skbench/reports"
)

// Two runs held against one another: what skbench report compare prints.
func ExampleReadDiff() {
	diff, err := reports.ReadDiff("testdata/results.json", "testdata/results.json", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(diff.Verdict())
	for _, change := range diff.Changes[:2] {
		fmt.Println(change.Name, change.Outcome, change.Why)
	}
	// Output:
	// Nothing got worse since the run of 2026-03-14 02:17: 15 unchanged, 1 not judged.
	// PPS/datapath=empty/family=ipv4/flows=1024/mode=inline/size=64 not judged this is the machine's own speed, beside which the datapaths are compared
	// PPS/datapath=xdp/family=ipv4/flows=1024/mode=inline/size=64 unchanged
}
