package vector

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Fixtures are vectors in the form in which they travel between XDP programs: a JSON list of packets in, packets out and return
// codes. They stand in the suite itself, or in a file that it names.
type Fixtures struct {
	File string
	List []Fixture

	located
}

// A Fixture is a vector of nothing but bytes.
type Fixture struct {
	Name        string `yaml:"name"`
	Description string `yaml:"description"` // told beside the name
	// Group names fixtures that share their state, in their order. Fixtures of no group are a group, too.
	Group    string  `yaml:"group"`
	Input    Base64  `yaml:"input"`    // the packet, from the Ethernet header on
	Expected Base64  `yaml:"expected"` // all of the packet that comes out; default: any
	Mask     Base64  `yaml:"mask"`     // the bits of expected that count, as many bytes as it has; default: all
	Retval   Verdict `yaml:"retval"`   // by name or number; default: any

	located
}

// Base64 are bytes written as base64.
type Base64 []byte

func (b *Base64) read(w *written) (err error) {
	*b, err = w.bytes("base64")
	return err
}

func (f *Fixtures) read(w *written) error {
	f.locate(w)
	if w.kind == list {
		return read(w, &f.List)
	}
	return read(w, &f.File)
}

// ReadFixtures reads the vectors of a file of fixtures.
func ReadFixtures(path string) (Vectors, error) {
	f := Fixtures{File: path}
	if err := f.load(filepath.Dir(path), filepath.Base(path)); err != nil {
		return nil, err
	}
	return f.vectors()
}

// load reads the list of a file.
func (f *Fixtures) load(dir, name string) error {
	path := name
	if !filepath.IsAbs(name) {
		path = filepath.Join(dir, name)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return f.at("").errorf("the fixtures cannot be read: %w", err)
	}
	documents, err := parse(path, plainJSON(content))
	if err != nil {
		return err
	}
	if len(documents) != 1 || documents[0] == nil {
		return &InputError{File: path, Text: "there is not one list of fixtures in this file"}
	}
	return read(documents[0], &f.List)
}

// plainJSON is JSON as YAML: a tab is no white space there. Within a text JSON has none.
func plainJSON(content []byte) []byte { return bytes.ReplaceAll(content, []byte("\t"), []byte(" ")) }

// vectors are the fixtures as vectors, those of a group one after the other.
func (f *Fixtures) vectors() (Vectors, error) {
	byGroup := map[string]int{}
	for _, x := range f.List {
		if _, ok := byGroup[x.Group]; !ok {
			byGroup[x.Group] = len(byGroup)
		}
	}
	sorted := slices.Clone(f.List)
	slices.SortStableFunc(sorted, func(a, b Fixture) int { return byGroup[a.Group] - byGroup[b.Group] })
	var out Vectors
	for i, x := range sorted {
		v, err := x.vector(i)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func (x *Fixture) vector(i int) (v Vector, err error) {
	switch {
	case len(x.Input) == 0:
		return v, x.at("input").errorf("a fixture needs an input: a packet in base64")
	case x.Expected == nil && x.Retval == "":
		return v, x.at("").errorf("this fixture expects nothing: give it expected or retval")
	case x.Mask != nil && len(x.Mask) != len(x.Expected):
		return v, x.at("mask").errorf("a mask has as many bytes as what is expected, %d, not %d", len(x.Expected), len(x.Mask))
	}
	names := slices.DeleteFunc([]string{x.Name, x.Description}, func(text string) bool { return text == "" })
	if len(names) == 0 {
		names = []string{fmt.Sprintf("fixture %d", i+1)}
	}
	v = Vector{Name: strings.Join(names, ": "), Group: x.group()}
	v.located = x.placed(map[string]string{"input": "packet", "group": "group"})
	v.Packet.Bytes = x.Input
	v.Want = Want{Verdict: x.Retval, located: x.placed(map[string]string{"expected": "packet", "retval": "verdict"})}
	if x.Expected != nil {
		v.Want.Packet = Packet{Bytes: x.Expected, Mask: x.Mask, Exact: true}
	}
	return v, nil
}

// placed tells where fields of a vector stand that go by other names in a fixture.
func (x *Fixture) placed(names map[string]string) located {
	if x.written == nil {
		return located{}
	}
	w := &written{kind: mapping, at: x.written.at}
	for _, f := range x.written.fields {
		if name, ok := names[f.name]; ok {
			w.fields = append(w.fields, field{name, f.at, f.value})
		}
	}
	return located{w}
}

// group is what the fixture's vector is in: those of no group share their state, too.
func (x *Fixture) group() string {
	if x.Group == "" {
		return "fixtures"
	}
	return x.Group
}

// addFixtures adds the suite's fixtures to its vectors.
func (s *Suite) addFixtures() error {
	if s.Fixtures.File != "" {
		if err := s.Fixtures.load(s.dir, s.Fixtures.File); err != nil {
			return err
		}
	}
	vectors, err := s.Fixtures.vectors()
	s.Vectors = append(s.Vectors, vectors...)
	return err
}
