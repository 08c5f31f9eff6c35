package cover

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"path/filepath"
	"strings"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// shownFile is a file as the page shows it.
type shownFile struct {
	Name            string
	Lines, Branches Share
	Source          []shownLine
}

// shownLine is one line; Class is "ran", "part", "never", or "" where there is no code.
type shownLine struct {
	Number      int
	Class       string
	Count, Text string
	Branches    string
}

// WriteHTML writes one page with the source of all files, which needs nothing else.
func (r *Report) WriteHTML(w io.Writer) error {
	lines, branches := r.Total()
	shown := struct {
		Lines, Branches Share
		Files           []shownFile
		Uncovered       []Uncovered
	}{Lines: lines, Branches: branches, Uncovered: r.Uncovered}
	above := r.above()
	for i := range r.Files {
		shown.Files = append(shown.Files, r.Files[i].shown(above))
	}
	return page.Execute(w, shown)
}

// above is the folder that holds all files, with a slash.
func (r *Report) above() string {
	if len(r.Files) == 0 {
		return ""
	}
	dir := filepath.Dir(r.Files[0].Name) + "/"
	for _, f := range r.Files {
		for !strings.HasPrefix(f.Name, dir) && dir != "/" && dir != "./" {
			dir = strings.TrimSuffix(filepath.Dir(strings.TrimSuffix(dir, "/")), "/") + "/"
		}
	}
	return dir
}

func (f *File) shown(above string) shownFile {
	s := shownFile{Name: strings.TrimPrefix(f.Name, above)}
	s.Lines, s.Branches = f.Total()
	last := len(f.text)
	if n := len(f.Lines); n > 0 {
		last = max(last, f.Lines[n-1].Number)
	}
	next := 0
	for number := 1; number <= last; number++ {
		line := shownLine{Number: number}
		if number <= len(f.text) {
			line.Text = f.text[number-1]
		}
		if next < len(f.Lines) && f.Lines[next].Number == number {
			l := f.Lines[next]
			next++
			line.Text, line.Count = f.line(l), fmt.Sprint(l.Count)
			line.Class, line.Branches = l.shown(above)
		}
		if line.Text != "" || line.Class != "" || f.text != nil {
			s.Source = append(s.Source, line)
		}
	}
	return s
}

// shown is the line's class, and what became of its conditions.
func (l *Line) shown(above string) (class, branches string) {
	class = "never"
	if l.Count > 0 {
		class = "ran"
	}
	var ways []string
	for _, way := range l.Branches {
		to := fmt.Sprintf("line %d", way.To)
		switch {
		case way.To == 0:
			to = "code of several lines"
		case way.In != "":
			to += " of " + strings.TrimPrefix(way.In, above)
		}
		times := fmt.Sprintf("%d ×", way.Count)
		if way.Count == 0 {
			times = "never"
			if l.Count > 0 {
				class = "part"
			}
		}
		ways = append(ways, fmt.Sprintf("to %s: %s", to, times))
	}
	return class, strings.Join(ways, "\n")
}
