// Package object is anyone's programs as a datapath: a file says which program of an ELF object stands at which hook of a lab's nodes, and what is
// in its maps. It is written as a suite of vectors is, and may be one: then the same object runs by BPF_PROG_RUN, on a veth pair, and in a cluster.
//
//	lab := harness.Start(t, topo.Cluster(2), object.Datapath("filter.yaml"))
//
// The kernel routes between nodes and pods; the programs see what it sends and receives.
package object

import (
	"context"
	"errors"
	"fmt"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/feature"
	"github.com/skbench/skbench/harness/vector"
	"github.com/skbench/skbench/topo"
)

// Datapath describes the datapath of a file of suites. Those of a file are attached in their order.
func Datapath(file string) harness.Datapath { return datapath(file) }

type datapath string

func (d datapath) Name() string { return "object" }

// Needs are those of the hooks. What a file lacks that cannot be read, Up says.
func (d datapath) Needs() []*feature.Feature {
	suites, _ := vector.ReadFile(string(d))
	for _, suite := range suites {
		for _, a := range suite.Attach {
			if a.Hook == vector.Cgroup {
				return []*feature.Feature{feature.CgroupFolders}
			}
		}
	}
	return nil
}

func (datapath) LeavesQuotedChecksums() bool { return false }

// Up puts the objects on every node, each with maps of its own.
func (d datapath) Up(_ context.Context, network *topo.Network, _ func(harness.Hop)) (harness.Forwarder, error) {
	suites, err := vector.ReadFile(string(d))
	if err != nil {
		return nil, err
	}
	f := &forwarder{file: string(d)}
	for _, machine := range network.Machines() {
		if machine.Kind() != topo.KindNode {
			continue
		}
		for _, suite := range suites {
			placed, err := suite.Place(machine, vector.Options{})
			if err != nil {
				return nil, errors.Join(fmt.Errorf("object: on %s: %w", machine.Name(), err), f.Close())
			}
			f.placed = append(f.placed, placed)
		}
	}
	return f, nil
}

type forwarder struct {
	file   string
	placed []*vector.Placed
}

// Serve has nothing to put services into: what the programs serve stands in the file.
func (f *forwarder) Serve(_ context.Context, services []harness.Service) error {
	if len(services) > 0 {
		return fmt.Errorf("object: service %s cannot be served: the programs of %s serve what that file puts into their maps", services[0].Name, f.file)
	}
	return nil
}

// Forget does nothing: which maps hold flows is not known.
func (f *forwarder) Forget(context.Context) error { return nil }

// Drops are not counted: the programs have no reasons that are known.
func (f *forwarder) Drops() (map[string]map[string]uint64, error) { return nil, nil }

func (f *forwarder) Lost() (map[string]uint64, error) { return nil, nil } // nor do they report any hops

func (f *forwarder) Sync(context.Context) error { return nil }

func (f *forwarder) Phases() []topo.Phase { return nil }

func (f *forwarder) Close() error {
	var errs []error
	for _, p := range f.placed {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}
