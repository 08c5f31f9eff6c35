// Package feature knows what skbench and the datapaths on it may want of a kernel and a machine, and finds out which of it is there.
//
// Everything is in one table (table.go): hooks, helpers, map types, devices, packet filters, datapaths, tools. A scenario that cannot run
// everywhere says what it needs:
//
//	feature.Need(t, feature.RedirectPeer)
//
// Answers come from trying, not from release numbers, since distributions carry features back to older releases and leave others out: a program
// is loaded, a device is made in a namespace of its own, a command is run. The release in the table only tells the user where to look. What is
// tried leaves nothing behind and is tried once in a process.
package feature

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"

	"github.com/skbench/skbench/topo"
)

// Feature is one thing that a kernel or machine can have.
type Feature struct {
	Name string
	Kind Kind
	// Since is the first Linux release that has it. Zero: not the kernel's, or older than any kernel of today.
	Since Version
	// Config names the options that the kernel must be built with.
	Config []string
	// Mend is what the user does about it, where more is needed than another kernel.
	Mend string

	// probe tries the feature: nil for yes, no or ebpf.ErrNotSupported for no, any other error for neither.
	probe func() error
	find  func() Finding // the probe's answer, kept
}

// Kind is the group that a feature belongs to.
type Kind string

// The kinds, in the order of a report.
const (
	Machine   Kind = "machine"
	Hook      Kind = "hook"
	Helper    Kind = "helper"
	MapType   Kind = "map type"
	Device    Kind = "device"
	Netfilter Kind = "packet filter"
	Datapath  Kind = "datapath"
	Tool      Kind = "tool"
)

// State is the answer to whether a feature is there.
type State string

// The states. Inconclusive is a probe that failed for a reason of its own, such as a verifier that rejects the probing program.
const (
	Yes          State = "yes"
	No           State = "no"
	Inconclusive State = "inconclusive"
)

// Finding is what was found out about one feature.
type Finding struct {
	Name  string  `json:"name"`
	Kind  Kind    `json:"kind"`
	Since Version `json:"since,omitzero"`
	State State   `json:"state"`
	// Reason says why the state is not yes.
	Reason string `json:"reason,omitempty"`
	// Mend says what to do about it, where that is known.
	Mend string `json:"mend,omitempty"`
}

// no is a probe's answer that the feature is not there, and why.
type no string

func (n no) Error() string { return string(n) }

func nof(format string, args ...any) error { return no(fmt.Sprintf(format, args...)) }

// table holds the features in the order of their declaration.
var table []*Feature

func declare(f Feature) *Feature {
	f.find = sync.OnceValue(func() Finding { return f.judge(f.answer(patience)) })
	table = append(table, &f)
	return &f
}

// Check finds out whether the feature is there. The first time takes up to some milliseconds.
func (f *Feature) Check() Finding { return f.find() }

// Report checks every feature of the table, in order of kind. It needs root.
func Report() []Finding { return slices.Collect(Findings()) }

// Findings are those of Report, each as soon as it is there.
func Findings() iter.Seq[Finding] {
	return func(yield func(Finding) bool) {
		for _, f := range table {
			if !yield(f.Check()) {
				return
			}
		}
	}
}

// Since is the first release that has the feature of a name; ok is false if the table does not have it.
func Since(name string) (since Version, ok bool) {
	for _, f := range table {
		if f.Name == name && f.Since != (Version{}) {
			return f.Since, true
		}
	}
	return Version{}, false
}

// Need skips a test on a machine that lacks one of the features, with the reason. Attributes of the test name the feature and its state, so
// that a run over many kernels can tell an unsupported test from one that was skipped.
func Need(t testing.TB, features ...*Feature) {
	t.Helper()
	for _, f := range features {
		finding := f.Check()
		if finding.State == Yes {
			continue
		}
		attribute := "unsupported"
		if finding.State == Inconclusive {
			attribute = "inconclusive"
		}
		t.Attr(attribute, f.Name)
		if f.Since != (Version{}) {
			t.Attr("since", f.Since.String())
		}
		t.Skip(finding.unmet())
	}
}

// unmet says what is needed and why it is not there. A datapath that is called as the tool that it needs is named once.
func (f Finding) unmet() string {
	needs := "needs " + f.Name + ": "
	return needs + strings.TrimPrefix(f.explain(), needs)
}

// explain is the reason and the mend in one sentence.
func (f Finding) explain() string {
	switch {
	case f.Mend == "":
		return f.Reason
	case f.Reason == "":
		return f.Mend
	default:
		return f.Reason + "; " + f.Mend
	}
}

// patience is what a probe gets. All take milliseconds, unless the kernel's BPF is stuck: then a call never returns, and none after it.
var patience = topo.Patience(10 * time.Second)

var stuck atomic.Pointer[Feature]

// answer runs the probe on a goroutine of its own, so that a kernel that never answers holds up nobody.
func (f *Feature) answer(patience time.Duration) error {
	if by := stuck.Load(); by != nil {
		return fmt.Errorf("not tried, since the kernel did not answer on %s", by.Name)
	}
	answer := make(chan error, 1)
	go func() {
		if err := rlimit.RemoveMemlock(); err != nil { // BPF memory counts against it before Linux 5.11.
			answer <- err
			return
		}
		answer <- f.probe()
	}()
	select {
	case err := <-answer:
		return err
	case <-time.After(patience):
		stuck.Store(f)
		return fmt.Errorf("no answer within %v: if BPF is stuck in this kernel, only a reboot mends that", patience)
	}
}

// judge makes a finding of the probe's answer.
func (f *Feature) judge(err error) Finding {
	finding := Finding{Name: f.Name, Kind: f.Kind, Since: f.Since, State: Yes}
	_, saysNo := errors.AsType[no](err)
	switch {
	case err == nil:
	case saysNo || errors.Is(err, ebpf.ErrNotSupported):
		finding.State = No
		finding.Reason, finding.Mend = f.why(err), f.Mend
	case os.Geteuid() != 0 && errors.Is(err, os.ErrPermission):
		finding.State = Inconclusive
		finding.Reason, finding.Mend = "only root can find out", "run with sudo"
	default:
		finding.State = Inconclusive
		finding.Reason = err.Error()
	}
	return finding
}

// why is the reason for a no: the release first, then how the kernel was built, then what the probe itself said.
func (f *Feature) why(err error) string {
	kernel, kernelErr := Kernel()
	if kernelErr == nil && kernel.Less(f.Since) {
		return fmt.Sprintf("first in Linux %v, this is %v", f.Since, kernel)
	}
	for _, option := range f.Config {
		switch builtWith(option) {
		case "n":
			return "this kernel is built without " + option
		case "m":
			return fmt.Sprintf("this kernel has it as a module (%s=m), which could not be loaded", option)
		}
	}
	return err.Error()
}
