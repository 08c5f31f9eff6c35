package vector

import (
	"fmt"
	"strings"
	"time"

	"github.com/skbench/skbench/harness/packet"
)

// A Result is what became of a suite.
type Result struct {
	Suite   string
	File    string // where the suite was written; empty if it was not
	Vectors []VectorResult
	// Err tells why the suite, or the rest of it, could not be run: most often an *InputError.
	Err error
	// Verified is what the verifier said of the suite's programs, if that was asked for.
	Verified []Verified
	// Duration is how long all of it took, and Running the part of it from the first vector on.
	Duration, Running time.Duration
}

// A VectorResult is what became of a vector.
type VectorResult struct {
	Name     string
	Failure  *Failure // nil if it passed or was skipped
	Skipped  string   // why it was skipped; empty if it was not
	Log      []string // what a test that lies in the object itself has said
	Duration time.Duration
	Timing   *Timing // what a packet costs, if that was asked for and can be told
}

// A Failure is the first run of a vector that was not as wanted.
type Failure struct {
	Step        int    // from 1 on; 0 if the vector has one only
	Run         int    // of a step that is run several times, from 1 on; the frame of a capture
	Program     string // that was run
	Differences string // what is not as wanted, on one line each or as a table
	// Sent, Want and Got are frames. Want is nil where not a whole packet was wanted.
	Sent, Want, Got []byte
	Capture         string   // a pcapng with these frames; empty where there are none
	Printed         []string // what the program printed in the vector, as in the trace pipe

	template packet.Layers // that was wanted
	differs  bool          // whether the packet is among the differences
}

// String says the failure on several lines.
func (f *Failure) String() string {
	var out strings.Builder
	if f.Step > 0 {
		fmt.Fprintf(&out, "step %d, program %s\n", f.Step, f.Program)
	}
	if f.Run > 0 {
		fmt.Fprintf(&out, "run %d\n", f.Run)
	}
	out.WriteString(f.Differences + "\n")
	if len(f.Sent) > 0 || f.differs {
		out.WriteString(f.packets() + "\n")
	}
	for _, line := range f.Printed {
		out.WriteString("printed: " + line + "\n")
	}
	if f.Capture != "" {
		out.WriteString("capture: " + f.Capture + "\n")
	}
	return strings.TrimRight(out.String(), "\n")
}

// Compare has the failure show two packets side by side: that which was wanted, and that which came.
func (f *Failure) Compare(want, got []byte) {
	whole, _ := packet.Decode(want)
	f.Want, f.Got, f.template, f.differs = want, got, whole.Layers, true
}

// packets says the packets, side by side if they are not as wanted.
func (f *Failure) packets() string {
	sent, _ := packet.Decode(f.Sent)
	got, _ := packet.Decode(f.Got)
	if !f.differs {
		return fmt.Sprintf("sent %s\ngot  %s", sent, got)
	}
	var want packet.Template
	switch {
	case f.template != nil:
		want = f.template
	case f.Want != nil:
		whole, _ := packet.Decode(f.Want)
		want = whole.Layers
	}
	return packet.SideBySide(sent, want, got)
}

// Passed counts the vectors that passed.
func (r *Result) Passed() int { return len(r.Vectors) - r.Failed() - r.Skipped() }

// Skipped counts the vectors that were skipped.
func (r *Result) Skipped() (n int) {
	for _, v := range r.Vectors {
		if v.Skipped != "" {
			n++
		}
	}
	return n
}

// Failed counts the vectors that failed.
func (r *Result) Failed() (n int) {
	for _, v := range r.Vectors {
		if v.Failure != nil {
			n++
		}
	}
	return n
}
