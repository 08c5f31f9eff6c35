package reports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// MatrixSchema names the only format of matrix.json that this package reads. matrix.schema.json describes it for other programs.
const MatrixSchema = "skbench/matrix/v1"

// Matrix is what many kernels made of the same tests, programs and probes.
type Matrix struct {
	Schema      string            `json:"schema"`
	Environment map[string]string `json:"environment"`
	Shard       string            `json:"shard,omitempty"` // "2/5": a part of a matrix, to be merged
	Problems    []string          `json:"problems,omitempty"`
	Kernels     []Kernel          `json:"kernels"`
}

// Kernel is one column.
type Kernel struct {
	Name             string    `json:"name"`
	Release          string    `json:"release,omitempty"`
	Origin           string    `json:"origin,omitempty"`
	Machine          string    `json:"machine"` // host, kvm or tcg
	Problem          string    `json:"problem,omitempty"`
	Console          string    `json:"console,omitempty"`
	Seconds          float64   `json:"seconds"`
	ProcessorSeconds float64   `json:"processor_seconds,omitempty"`
	BootSeconds      float64   `json:"boot_seconds,omitempty"`
	FirstTestSeconds float64   `json:"first_test_seconds,omitempty"`
	MemoryMiB        int       `json:"memory_mib,omitempty"`
	Boots            int       `json:"boots,omitempty"`
	Cells            []Cell    `json:"cells"`
	Features         []Feature `json:"features,omitempty"`
}

// Cell is one test or program on one kernel.
type Cell struct {
	Suite        string   `json:"suite"`
	Name         string   `json:"name"`
	State        State    `json:"state"`
	Seconds      float64  `json:"seconds,omitempty"`
	Reason       string   `json:"reason,omitempty"`
	Feature      string   `json:"feature,omitempty"`
	Since        string   `json:"since,omitempty"`
	Log          string   `json:"log,omitempty"`
	Files        []string `json:"files,omitempty"`
	Instructions uint64   `json:"instructions,omitempty"` // that the verifier went through
	States       uint64   `json:"states,omitempty"`       // of its own, likewise
}

// Feature is the answer of a probe: yes, no or inconclusive.
type Feature struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	Since  string `json:"since,omitempty"`
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	Mend   string `json:"mend,omitempty"`
}

// State is what a kernel makes of a test or program.
type State string

// The states, from the worst to the best.
const (
	Crash        State = "crash"
	TimeOut      State = "time-out"
	Fail         State = "fail"
	Inconclusive State = "inconclusive"
	Unsupported  State = "unsupported"
	Pass         State = "pass"
)

var states = []State{Crash, TimeOut, Fail, Inconclusive, Unsupported, Pass}

// bad tells the states that nothing should be in.
func (s State) bad() bool { return s == Crash || s == TimeOut || s == Fail }

// ReadMatrix reads the matrix.json at path, and refuses what is none.
func ReadMatrix(path string) (*Matrix, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("matrix not readable: %w: make one first with: skbench matrix --out DIR", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	m := &Matrix{}
	if err := decoder.Decode(m); err != nil {
		return nil, fmt.Errorf("%s: %w: write only what matrix.schema.json names", path, err)
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

func (m *Matrix) check() error {
	if m.Schema != MatrixSchema {
		return fmt.Errorf("schema is %q, and only %s can be read: make it anew with this skbench", m.Schema, MatrixSchema)
	}
	for i, k := range m.Kernels {
		if k.Name == "" {
			return fmt.Errorf("kernels[%d].name is missing", i)
		}
		if slices.ContainsFunc(m.Kernels[:i], func(other Kernel) bool { return other.Name == k.Name }) {
			return fmt.Errorf("kernel %s is there twice: join only shards of one matrix", k.Name)
		}
		for j, c := range k.Cells {
			if !slices.Contains(states, c.State) {
				return fmt.Errorf("kernels[%d].cells[%d].state is %q: write one of %v", i, j, c.State, states)
			}
		}
	}
	return nil
}

// folderOf is the folder of a path that may name the matrix.json in it.
func folderOf(path string) string {
	if filepath.Base(path) == matrixFile {
		return filepath.Dir(path)
	}
	return path
}

// matrixFile is what a matrix is called in its folder.
const matrixFile = "matrix.json"

// RenderMatrix reads matrix.json in dir and writes beside it index.html, matrix.md and junit.xml.
func RenderMatrix(dir string) (*Matrix, error) {
	dir = folderOf(dir)
	m, err := ReadMatrix(filepath.Join(dir, matrixFile))
	if err != nil {
		return nil, err
	}
	for name, write := range map[string]func(*bytes.Buffer, *Matrix) error{
		"index.html": writeMatrixHTML, "matrix.md": writeMatrixMarkdown, "junit.xml": writeMatrixJUnit,
	} {
		var b bytes.Buffer
		if err := write(&b, m); err != nil {
			return nil, err
		}
		if err := replace(filepath.Join(dir, name), b.Bytes()); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// MergeMatrix joins the shards of a matrix, each a folder with matrix.json, in their order, into one in out, and renders it.
func MergeMatrix(out string, shards []string) (*Matrix, error) {
	var whole *Matrix
	for _, path := range shards {
		dir := folderOf(path)
		part, err := ReadMatrix(filepath.Join(dir, matrixFile))
		if err != nil {
			return nil, err
		}
		for _, k := range part.Kernels {
			for i := range k.Cells {
				if err := takeFiles(out, dir, k.Cells[i].Files); err != nil {
					return nil, err
				}
			}
		}
		if whole == nil {
			whole = part
			whole.Shard = ""
			continue
		}
		whole.Kernels = append(whole.Kernels, part.Kernels...)
		for _, problem := range part.Problems {
			if !slices.Contains(whole.Problems, problem) {
				whole.Problems = append(whole.Problems, problem)
			}
		}
	}
	if whole == nil {
		return nil, errors.New("no shards to join: name the folders that skbench matrix --shard wrote")
	}
	slices.SortStableFunc(whole.Kernels, func(a, b Kernel) int { return compareReleases(a.Release, b.Release) })
	if err := whole.check(); err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(whole, "", " ")
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, err
	}
	if err := replace(filepath.Join(out, matrixFile), append(text, '\n')); err != nil {
		return nil, err
	}
	return RenderMatrix(out)
}

// takeFiles copies files that cells name from a shard's folder.
func takeFiles(out, dir string, names []string) error {
	for _, name := range names {
		if !filepath.IsLocal(name) {
			return fmt.Errorf("%s names the file %s, which is not below it", dir, name)
		}
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return fmt.Errorf("shard %s is not whole: %w", dir, err)
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(out, name)), 0o755); err != nil {
			return err
		}
		if err := replace(filepath.Join(out, name), text); err != nil {
			return err
		}
	}
	return nil
}

// compareReleases puts 5.10.0-46 before 6.1.0-56 before 6.12.
func compareReleases(a, b string) int {
	numbers := func(release string) (n [3]int) {
		_, _ = fmt.Sscanf(release, "%d.%d.%d", &n[0], &n[1], &n[2])
		return n
	}
	x, y := numbers(a), numbers(b)
	return slices.Compare(x[:], y[:])
}

// Trouble lists what is not as it should be, a sentence each: what kept suites or kernels out, cells in bad states, and scenarios that no kernel can
// run, which are never tested.
func (m *Matrix) Trouble() []string {
	trouble := slices.Clone(m.Problems)
	for _, k := range m.Kernels {
		if k.Problem != "" {
			trouble = append(trouble, fmt.Sprintf("kernel %s: %s", k.Name, k.Problem))
		}
		for _, c := range k.Cells {
			if c.State.bad() && !k.explained(c) {
				trouble = append(trouble, strings.TrimSuffix(fmt.Sprintf("%s %s on %s: %s: %s", c.Suite, c.Name, k.Name, c.State, c.Reason), ": "))
			}
		}
	}
	return append(trouble, m.nowhere()...)
}

// explained tells whether a bad cell only follows from one of its parts.
func (k Kernel) explained(c Cell) bool {
	return slices.ContainsFunc(k.Cells, func(part Cell) bool {
		return part.Suite == c.Suite && part.State.bad() && strings.HasPrefix(part.Name, c.Name+"/")
	})
}

// nowhere lists tests that are unsupported on every kernel. Of one kernel, or a part of a matrix, nothing can be told.
func (m *Matrix) nowhere() (trouble []string) {
	if m.Shard != "" || len(m.Kernels) < 2 {
		return nil
	}
	for _, t := range m.tables() {
		for _, row := range t.rows {
			if row.leaf && !slices.ContainsFunc(row.cells, func(c *Cell) bool { return c != nil && c.State != Unsupported }) {
				// A kernel that could not be run has no cells, and says nothing.
				if i := slices.IndexFunc(row.cells, func(c *Cell) bool { return c != nil }); i >= 0 && !m.anyMissing(row) {
					trouble = append(trouble, fmt.Sprintf("%s %s is unsupported on every kernel, so nothing tests it: %s", t.suite, row.name, row.cells[i].Reason))
				}
			}
		}
	}
	return trouble
}

// anyMissing tells whether a kernel that did run has no answer for a row.
func (m *Matrix) anyMissing(row matrixRow) bool {
	for i, c := range row.cells {
		if c == nil && m.Kernels[i].Problem == "" {
			return true
		}
	}
	return false
}
