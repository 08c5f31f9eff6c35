// Package snapshot lists what a machine holds that a run could leave behind: processes, network namespaces, BPF objects, cgroups, mounts,
// files, and the configuration of the machine's own network namespace. Two snapshots compared tell what a run has left.
//
// A machine is shared. What a process outside the run holds (a namespace by a thread or a descriptor, a program by a descriptor or a link, a
// cgroup by standing in it, a file by having it open) is that process's affair and no difference, though it may have come during the run.
package snapshot

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"time"
)

// Snapshot is what a machine holds at one moment. It can be kept as JSON.
type Snapshot struct {
	// Things by kind and, within the kind, by a key that names one thing as long as it lives.
	Things map[string]map[string]Thing `json:"things"`
	// Unseen gives, for each kind that could not be looked at on this machine, the reason.
	Unseen map[string]string `json:"unseen,omitempty"`
}

// Thing is one thing that the machine holds.
type Thing struct {
	// What describes the thing; for configuration it is the value, and a change of it is a difference.
	What string `json:"what,omitempty"`
	// Outsider names a process that holds the thing and is no part of the run. Empty: none does.
	Outsider string `json:"outsider,omitempty"`
}

// A Difference is one thing that is not as it was before.
type Difference struct {
	Kind, Key     string
	Before, After string
	Change        Change
}

// Change says what has become of a thing.
type Change int

// The changes that a thing can undergo between two snapshots.
const (
	Appeared Change = iota
	Vanished
	Changed
)

// String is the difference in one line.
func (d Difference) String() string {
	switch d.Change {
	case Appeared:
		return join(d.Kind, d.Key, "is new", d.After)
	case Vanished:
		return join(d.Kind, d.Key, "is gone", d.Before)
	default:
		return fmt.Sprintf("%s %s: was %q, is %q", d.Kind, d.Key, d.Before, d.After)
	}
}

func join(kind, key, change, what string) string {
	if what == "" {
		return fmt.Sprintf("%s %s %s", kind, key, change)
	}
	return fmt.Sprintf("%s %s %s: %s", kind, key, change, what)
}

// Options say whose machine it is and where to look.
type Options struct {
	// Ours tells which of all processes belong to the run. Nil: none.
	Ours func(all map[int]Process, p Process) bool
	// Folders are searched for files, besides /run, /dev/shm and each mounted BPF file system.
	Folders []string
}

// A kind is one sort of thing, and what counts as a difference in it.
type kind struct {
	name string
	look func(*machine) (map[string]Thing, error)
	// configures: the kind is configuration, where a loss or a change is a difference too. Of the other kinds only what is new counts, since
	// anyone's process may end and take its things along.
	configures bool
	// ignoreNew: what is new is no difference. A sysctl appears with a device, which is a difference by itself, or with a kernel module, which
	// the kernel loads for whoever first uses it.
	ignoreNew bool
	// reused: the kernel gives a key anew once its thing is gone.
	reused bool
	// tree: keys are paths, and what stands in a new folder is told by telling the folder.
	tree bool
}

var kinds = []kind{
	{name: "process", look: (*machine).listProcesses},
	{name: "namespace", look: (*machine).listNamespaces, reused: true},
	{name: "hidden namespace", look: (*machine).listHiddenNamespaces},
	{name: "BPF link", look: (*machine).listLinks}, // The four in this order: see bpf.go.
	{name: "BPF program", look: (*machine).listPrograms},
	{name: "BPF map", look: (*machine).listMaps},
	{name: "BTF", look: (*machine).listBTF},
	{name: "cgroup", look: (*machine).listCgroups, tree: true},
	{name: "file", look: (*machine).listFiles, tree: true},
	{name: "mount", look: (*machine).listMounts, configures: true},
	{name: "device", look: (*machine).listDevices, configures: true},
	{name: "address", look: (*machine).listAddresses, configures: true},
	{name: "route", look: (*machine).listRoutes, configures: true},
	{name: "rule", look: (*machine).listRules, configures: true},
	{name: "qdisc", look: (*machine).listQdiscs, configures: true},
	{name: "netfilter", look: (*machine).listNetfilter, configures: true},
	{name: "sysctl", look: (*machine).listSysctls, configures: true, ignoreNew: true},
}

// unseen is the error of a look at something that this machine does not show.
type unseen string

func (u unseen) Error() string { return string(u) }

// Take lists what the machine holds now. It needs root.
func Take(o Options) (Snapshot, error) {
	m, err := lookAround(o)
	if err != nil {
		return Snapshot{}, err
	}
	s := Snapshot{Things: map[string]map[string]Thing{}, Unseen: map[string]string{}}
	for _, k := range kinds {
		things, err := k.look(m)
		if reason, ok := err.(unseen); ok {
			s.Unseen[k.name] = string(reason)
			continue
		}
		if err != nil {
			return Snapshot{}, fmt.Errorf("list each %s: %w", k.name, err)
		}
		s.Things[k.name] = things
	}
	return s, nil
}

// Compare tells what a run between the two snapshots has left, in a fixed order. Kinds that either could not see are left out.
func Compare(before, after Snapshot) []Difference {
	var all []Difference
	for _, k := range kinds {
		was, seen := before.Things[k.name]
		is, still := after.Things[k.name]
		if seen && still {
			all = append(all, k.compare(was, is)...)
		}
	}
	return all
}

func (k kind) compare(was, is map[string]Thing) []Difference {
	var all []Difference
	for _, key := range slices.Sorted(maps.Keys(is)) {
		before, known := was[key]
		after := is[key]
		if k.reused && before.Outsider != "" && after.Outsider == "" {
			known = false // Another thing by now.
		}
		d := Difference{Kind: k.name, Key: key, Before: before.What, After: after.What}
		switch {
		case !known && (k.ignoreNew || after.Outsider != "" || k.tree && isNewFolder(path.Dir(key), was, is)):
		case !known:
			d.Change = Appeared
			all = append(all, d)
		case k.configures && before.What != after.What:
			d.Change = Changed
			all = append(all, d)
		}
	}
	if !k.configures {
		return all
	}
	for _, key := range slices.Sorted(maps.Keys(was)) {
		if _, still := is[key]; !still {
			all = append(all, Difference{Kind: k.name, Key: key, Before: was[key].What, Change: Vanished})
		}
	}
	return all
}

func isNewFolder(folder string, was, is map[string]Thing) bool {
	_, known := was[folder]
	_, there := is[folder]
	return there && !known
}

// Settle compares until nothing differs any more or the patience is spent, and returns what differs then. The kernel frees programs and
// namespaces some time after the last process that held them has died, and tells nobody when: so it has to be asked again and again.
//
// What a run has left is there from the first look to the last, under the same key. What was missing once is not the run's: others on the
// machine make and drop things meanwhile, and one of theirs that is being freed has no holder either.
func Settle(before Snapshot, take func() (Snapshot, error), patience time.Duration) ([]Difference, error) {
	const pause = 50 * time.Millisecond
	deadline := time.Now().Add(patience)
	after, err := take()
	if err != nil {
		return nil, err
	}
	left := Compare(before, after)
	for len(left) > 0 && time.Now().Add(pause).Before(deadline) {
		time.Sleep(pause)
		if after, err = take(); err != nil {
			return nil, err
		}
		left = stillThere(left, Compare(before, after))
	}
	return left, nil
}

// stillThere keeps, as they are now, the differences that were there before.
func stillThere(before, now []Difference) []Difference {
	return slices.DeleteFunc(now, func(d Difference) bool {
		return !slices.ContainsFunc(before, func(b Difference) bool { return b.Kind == d.Kind && b.Key == d.Key && b.Change == d.Change })
	})
}
