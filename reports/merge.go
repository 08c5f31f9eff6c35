package reports

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Merge joins the shards of a run into one. A shard that cannot be read, or that is
// not there though the others count it, is named in the whole's Problems.
func Merge(paths []string) (*Results, error) {
	var whole *Results
	var unreadable []error
	var shards []string
	for _, path := range paths {
		part, err := ReadResults(path)
		if err != nil {
			unreadable = append(unreadable, err)
			continue
		}
		shards = append(shards, part.Environment["shard"])
		if whole == nil {
			whole = part
			continue
		}
		whole.join(part, path)
	}
	if whole == nil {
		return nil, undecidable{errors.Join(append(unreadable, errors.New("no shard to join: name the folders that skbench bench --shard wrote"))...)}
	}
	for _, err := range unreadable {
		whole.complain("shards", 0, "%v", err)
	}
	for _, absent := range absentShards(shards) {
		whole.complain("shards", 0, "shard %s is not there: name its folder too", absent)
	}
	delete(whole.Environment, "shard")
	return whole, nil
}

// join adds what another shard measured. The empty path is measured by each, and the
// first one is kept.
func (r *Results) join(part *Results, path string) {
	for _, key := range []string{"commit", "kernel", "cpu", "cpus", "goarch"} {
		if a, b := r.Environment[key], part.Environment[key]; a != b {
			r.distrust(fmt.Sprintf("its shards ran on different machines or trees: %s is %q in one and %q in another", key, a, b))
		}
	}
	if reason := part.Environment["untrusted"]; reason != "" {
		r.distrust(reason)
	}
	for key, value := range part.Environment {
		if _, there := r.Environment[key]; !there {
			r.Environment[key] = value
		}
	}
	r.Environment["time"] = min(r.Environment["time"], part.Environment["time"])
	r.Checks = append(r.Checks, part.Checks...)
	r.Absent = append(r.Absent, part.Absent...)
	r.Problems = append(r.Problems, part.Problems...)
	for _, result := range part.Results {
		switch {
		case r.find(&result) == nil:
			r.Results = append(r.Results, result)
		case result.Params["datapath"] != emptyPath:
			r.complain(path, 0, "%s is in an earlier shard too: join only shards of one run", result.identity())
		}
	}
}

// distrust adds a reason.
func (r *Results) distrust(reason string) {
	if have := r.Environment["untrusted"]; have == "" {
		r.Environment["untrusted"] = reason
	} else if !strings.Contains(have, reason) {
		r.Environment["untrusted"] = have + "; " + reason
	}
}

// absentShards lists the shards that others count.
func absentShards(shards []string) (absent []string) {
	var total int
	for _, s := range shards {
		var i, n int
		if _, err := fmt.Sscanf(s, "%d/%d", &i, &n); err == nil {
			total = max(total, n)
		}
	}
	for i := range total {
		if name := fmt.Sprintf("%d/%d", i+1, total); !slices.Contains(shards, name) {
			absent = append(absent, name)
		}
	}
	return absent
}

// Write writes results.json into a folder, made if it is not there.
func (r *Results) Write(dir string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("results not encoded: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("the report's folder is not made: %w", err)
	}
	return replace(filepath.Join(dir, resultsFile), append(text, '\n'))
}

// IsMatrix tells whether a path is a matrix's folder or matrix.json, and not a run's.
func IsMatrix(path string) bool {
	if filepath.Base(path) == matrixFile {
		return true
	}
	_, err := os.Stat(filepath.Join(path, matrixFile))
	return err == nil
}
