package bpf_test

import (
	flags "flag" // the word is taken here
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness/vector"
	"github.com/skbench/skbench/harness/vector/cover"
)

var (
	coverC     = flags.String("cover-c", "", "write which lines of the C source ran to this `file`, as go tool cover -html reads it")
	coverCHTML = flags.String("cover-c-html", "", "write that as a page to this `file`")
	objectsIn  = flags.String("objects", "", "test the objects of this `folder` in place of those that are built in; those that it lacks are not replaced")
)

// vectorOptions are those that suites of this package are run with.
var vectorOptions vector.Options

func TestMain(m *testing.M) {
	flags.Parse()
	counters := &cover.Counters{}
	covered := *coverC != "" || *coverCHTML != ""
	if covered {
		vectorOptions.Configuration.Cover = counters
	}
	bpf.ChangeObjects(func(name string, spec *ebpf.CollectionSpec) (*ebpf.CollectionSpec, error) {
		file := objectFile(name)
		if *objectsIn != "" && file != name {
			var err error
			if spec, err = ebpf.LoadCollectionSpec(file); err != nil {
				return nil, err
			}
		}
		if !covered {
			return spec, nil
		}
		counters.Expect(file, spec)
		return spec, counters.Instrument(file, spec)
	})
	status := m.Run()
	if covered {
		if err := writeCoverage(counters); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	os.Exit(status)
}

// objectFile is the object of that name to test: that of -objects if there is one.
func objectFile(name string) string {
	if other := filepath.Join(*objectsIn, name); *objectsIn != "" {
		if _, err := os.Stat(other); err == nil {
			return other
		}
	}
	return name
}

func writeCoverage(counters *cover.Counters) error {
	defer counters.Close()
	report, err := counters.Report()
	if err != nil {
		return err
	}
	fmt.Println(report)
	return report.WriteFiles(*coverC, *coverCHTML)
}
