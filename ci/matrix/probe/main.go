// Command probe finds out what a kernel has and what it makes of programs, and prints a line of JSON for each answer: features first, then the
// programs of each ELF object named.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/skbench/skbench/harness/feature"
)

func main() {
	out := json.NewEncoder(os.Stdout)
	say := func(key string, value any) {
		if err := out.Encode(map[string]any{key: value}); err != nil {
			fmt.Fprintln(os.Stderr, "probe:", err)
			os.Exit(1)
		}
	}
	for _, finding := range feature.Report() {
		say("feature", finding)
	}
}
