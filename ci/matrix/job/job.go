// Package job is what is to be done on a kernel, and what comes back: the same for a guest and for the machine itself.
//
// A job is steps, one command each. What the commands print, how they end and the files that they leave come back as records, which cross from a
// guest as lines of JSON.
package job

import (
	"time"
)

// Where things are in a guest.
const (
	Path      = "/job.json"
	Artefacts = "/artefacts"
	Port      = "skbench" // the virtio-serial port that records go through
)

// Job is the steps, in their order.
type Job struct {
	Steps []Step `json:"steps"`
}

// Step is one command.
type Step struct {
	Name    string   `json:"name"`
	Command []string `json:"command"`
	Env     []string `json:"env,omitempty"` // beside the few that all steps have
	Dir     string   `json:"dir,omitempty"`
	// Limit is how long the command may run by its own clock, after which it is killed.
	Limit time.Duration `json:"limit"`
}

// Kind says what a record tells.
type Kind string

// The kinds of records.
const (
	Hello  Kind = "hello"  // the guest is up: Text is its release
	Start  Kind = "start"  // a step begins
	Line   Kind = "line"   // a line of a step's standard output
	Stderr Kind = "stderr" // a line of its standard error
	File   Kind = "file"   // a file that a step left: Text is its path below the folder of artefacts
	End    Kind = "end"    // a step ended; Text says how, empty when well
	Splat  Kind = "splat"  // the kernel complained: Text is what it wrote
	Memory Kind = "memory" // the most that was in use so far: Text is MiB
	Done   Kind = "done"   // all steps ended
)

// Record is one thing that came back.
type Record struct {
	Kind Kind   `json:"kind"`
	Step string `json:"step,omitempty"`
	Text string `json:"text,omitempty"`
	Data []byte `json:"data,omitempty"` // of a file, compressed with zlib
	// Limited is set when a step was ended since its time was over.
	Limited bool `json:"limited,omitempty"`
}
