package cover

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// A Report is what ran, of all objects together.
type Report struct {
	Files     []File // in the order of their names
	Uncovered []Uncovered
}

// A File is a file of C source.
type File struct {
	Name  string // its path, absolute if it was found; else as the compiler was given it
	Lines []Line // those that there is code of, by number
	text  []string
}

// A Line is a line of source that some program has code of.
type Line struct {
	Number   int
	Count    uint64 // how often it ran, of all programs that it is in
	Branches []Way
	text     string // as the compiler saw it
}

// A Way is one side of a condition: from its line to where that leads. A condition that was compiled several times, such as one in an
// inlined function, has one Way for each line that it leads to.
type Way struct {
	To    int    // line; 0: to what the compiler has made of several lines
	In    string // file of that, if it is another
	Count uint64
}

// Report tells what ran until now.
func (c *Counters) Report() (*Report, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	s := &sums{files: map[string]map[int]*Line{}, ways: map[*Line]map[wayKey]uint64{}, places: map[string]string{}}
	for path, blocks := range c.known {
		s.add(path, blocks, nil)
	}
	for _, m := range c.loads {
		values, err := m.read()
		if err != nil {
			return nil, err
		}
		s.add(m.path, m.blocks, values)
	}
	return &Report{s.report(), slices.SortedFunc(maps.Keys(c.uncovered), Uncovered.compare)}, nil
}

// sums adds up counters by line.
type sums struct {
	files  map[string]map[int]*Line
	ways   map[*Line]map[wayKey]uint64
	places map[string]string // where files of that name lie
}

type wayKey struct {
	column uint32 // of the condition
	to     position
}

// add adds what the blocks of an object counted; nil: nothing yet.
func (s *sums) add(object string, blocks []block, values []uint64) {
	ran := map[*Line]uint64{}
	for _, b := range blocks {
		count := uint64(0)
		if values != nil {
			count = values[b.counter]
		}
		for _, line := range b.lines {
			l := s.line(object, line)
			ran[l] = max(ran[l], count) // a line is in many blocks, of which some run each time that it does
		}
		if br := b.branch; br != nil && br.line != nil {
			straight := uint64(0)
			if values != nil {
				straight = values[br.straight]
			}
			s.branch(object, br, count-min(count, straight), straight)
		}
	}
	for line, count := range ran {
		line.Count += count
	}
}

func (s *sums) branch(object string, b *branch, on, off uint64) {
	line := s.line(object, b.line)
	if s.ways[line] == nil {
		s.ways[line] = map[wayKey]uint64{}
	}
	for _, way := range []struct {
		to    *btf.Line
		count uint64
	}{{b.on, on}, {b.off, off}} {
		to := position{}
		if way.to != nil {
			to = position{s.file(object, way.to.FileName()), int(way.to.LineNumber())}
		}
		s.ways[line][wayKey{b.line.LineColumn(), to}] += way.count
	}
}

func (s *sums) line(object string, l *btf.Line) *Line {
	file, number := s.file(object, l.FileName()), int(l.LineNumber())
	if s.files[file] == nil {
		s.files[file] = map[int]*Line{}
	}
	if s.files[file][number] == nil {
		s.files[file][number] = &Line{Number: number, text: l.Line()}
	}
	return s.files[file][number]
}

// file finds a source file: names are relative to where the compiler ran, which is most often the object's folder or one above it.
func (s *sums) file(object, name string) string {
	key := object + "\x00" + name
	if found, ok := s.places[key]; ok {
		return found
	}
	s.places[key] = name
	if absolute, err := filepath.Abs(object); err == nil && !filepath.IsAbs(name) {
		for dir := filepath.Dir(absolute); ; dir = filepath.Dir(dir) {
			if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
				s.places[key] = filepath.Join(dir, name)
				break
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return s.places[key]
}

func (s *sums) report() (files []File) {
	for _, name := range slices.Sorted(maps.Keys(s.files)) {
		f := File{Name: name}
		if content, err := os.ReadFile(name); err == nil {
			f.text = strings.Split(string(content), "\n")
		}
		for _, number := range slices.Sorted(maps.Keys(s.files[name])) {
			line := s.files[name][number]
			for way, count := range s.ways[line] {
				w := Way{To: way.to.line, Count: count}
				if way.to.file != name {
					w.In = way.to.file
				}
				line.Branches = append(line.Branches, w)
			}
			slices.SortFunc(line.Branches, func(a, b Way) int {
				return cmp.Or(strings.Compare(a.In, b.In), cmp.Compare(a.To, b.To), cmp.Compare(b.Count, a.Count))
			})
			f.Lines = append(f.Lines, *line)
		}
		files = append(files, f)
	}
	return files
}

// A Share is how many of some things ran.
type Share struct{ Ran, All int }

func (s Share) String() string {
	if s.All == 0 {
		return "none"
	}
	return fmt.Sprintf("%.1f %% (%d of %d)", 100*float64(s.Ran)/float64(s.All), s.Ran, s.All)
}

func (s *Share) count(ran bool) {
	s.All++
	if ran {
		s.Ran++
	}
}

func (s *Share) add(t Share) {
	s.Ran += t.Ran
	s.All += t.All
}

// Total is the share of lines that ran, and of ways that conditions took.
func (r *Report) Total() (lines, branches Share) {
	for i := range r.Files {
		l, b := r.Files[i].Total()
		lines.add(l)
		branches.add(b)
	}
	return lines, branches
}

// Total is that of one file.
func (f *File) Total() (lines, branches Share) {
	for _, l := range f.Lines {
		lines.count(l.Count > 0)
		for _, way := range l.Branches {
			branches.count(way.Count > 0)
		}
	}
	return lines, branches
}

// String is the totals, and which programs are not in them.
func (r *Report) String() string {
	lines, branches := r.Total()
	var out strings.Builder
	fmt.Fprintf(&out, "coverage: lines %s, branches %s", lines, branches)
	for _, u := range r.Uncovered {
		fmt.Fprintf(&out, "\nuncovered: program %s of %s: %s", u.Program, u.Object, u.Why)
	}
	return out.String()
}

// WriteProfile writes a profile as go test -coverprofile does, for go tool cover -html: each line that there is code of is one statement.
// (go tool cover -func reads Go only.)
func (r *Report) WriteProfile(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprintln(out, "mode: count")
	for _, f := range r.Files {
		for _, l := range f.Lines {
			length := len(f.line(l))
			fmt.Fprintf(out, "%s:%d.1,%d.%d 1 %d\n", f.Name, l.Number, l.Number, length+1, l.Count)
		}
	}
	return out.Flush()
}

// line is the text of a line.
func (f *File) line(l Line) string {
	if l.Number <= len(f.text) {
		return f.text[l.Number-1]
	}
	return l.text
}

// WriteFiles writes a profile and a page; "" leaves one out.
func (r *Report) WriteFiles(profile, page string) error {
	for _, file := range []struct {
		name  string
		write func(io.Writer) error
	}{{profile, r.WriteProfile}, {page, r.WriteHTML}} {
		if file.name == "" {
			continue
		}
		var out bytes.Buffer
		if err := file.write(&out); err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(file.name), 0o755); err != nil {
			return fmt.Errorf("coverage: %w", err)
		}
		if err := os.WriteFile(file.name, out.Bytes(), 0o644); err != nil {
			return fmt.Errorf("coverage: %w", err)
		}
	}
	return nil
}
