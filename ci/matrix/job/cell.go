package job

// State is what a kernel makes of a test or program.
type State string

// The states.
const (
	Pass         State = "pass"
	Fail         State = "fail"
	Unsupported  State = "unsupported"  // the test named the feature that is missing
	Inconclusive State = "inconclusive" // skipped, and not for a feature that is known to be missing
	Crash        State = "crash"        // the guest or the test's process died
	Timeout      State = "time-out"
)

// Cell is one test, vector or program on one kernel.
type Cell struct {
	Suite   string  `json:"suite"` // "scenarios", "object balancer.o"
	Name    string  `json:"name"`  // a test with slashes before its subtests; a program
	State   State   `json:"state"`
	Seconds float64 `json:"seconds,omitempty"`
	// Reason says in a sentence why the state is not pass; Feature and Since name what is missing of the kernel.
	Reason  string `json:"reason,omitempty"`
	Feature string `json:"feature,omitempty"`
	Since   string `json:"since,omitempty"`
	// Log is what the test printed, or the verifier; the whole of it lies in Files where it was cut.
	Log   string   `json:"log,omitempty"`
	Files []string `json:"files,omitempty"` // captures and logs, below the folder of matrix.json
	// Of a program: what the verifier went through.
	Instructions uint64 `json:"instructions,omitempty"`
	States       uint64 `json:"states,omitempty"`
}
