package reports

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"strings"
)

var (
	//go:embed matrix.gohtml
	matrixText string
	//go:embed matrix.css
	matrixStyle string

	matrixTemplate = template.Must(template.New("matrix").Parse(matrixText))
)

// matrixPage is what matrix.gohtml shows.
type matrixPage struct {
	Style    template.CSS
	Palette  []tone
	Time     string
	Kernel   string // of the host
	CPU      string
	Verdict  string
	Trouble  []string
	Kernels  []pageKernel
	Suites   []pageSuite
	Programs []pageSuite
	Features []pageFeatures
	Logs     []pageLog
	Facts    []entry

	opens map[*Cell]string // the ids of logs that are there already
}

type pageKernel struct {
	Name, Release, Note string
	Log                 string // the id of its log, or ""
}

type pageSuite struct {
	Name   string
	Groups []pageGroup
}

// pageGroup is a test and its parts, which show when it is opened.
type pageGroup struct {
	ID   string
	Top  pageRow
	Rows []pageRow
}

type pageRow struct {
	Name  string
	Depth int
	Cells []pageCell
}

// pageCell is one state. Text says it in few words; Log is the id of what it opens to, or "".
type pageCell struct {
	State State
	Text  string
	Note  string
	Title string
	Log   string
}

type pageFeatures struct {
	Kind string
	Rows []pageRow
}

type pageLog struct {
	ID, Title, Reason, Text string
	Files                   []string
}

// writeMatrixHTML writes one page that needs nothing beside it: the verdict, every cell with its log, programs, features. It has no script.
func writeMatrixHTML(w *bytes.Buffer, m *Matrix) error {
	if err := matrixTemplate.Execute(w, pageOfMatrix(m)); err != nil {
		return fmt.Errorf("page not written: %w", err)
	}
	return nil
}

func pageOfMatrix(m *Matrix) *matrixPage {
	p := &matrixPage{
		Style: template.CSS(pageStyle + matrixStyle), Palette: palette,
		Time: m.Environment["time"], Kernel: m.Environment["kernel"], CPU: m.Environment["cpu"],
		Verdict: m.Verdict(), Trouble: m.Trouble(), Facts: entries(m.Environment), opens: map[*Cell]string{},
	}
	for _, k := range m.Kernels {
		p.kernel(k)
	}
	for _, t := range m.tables() {
		if t.ofPrograms() {
			p.Programs = append(p.Programs, p.programs(t))
		} else {
			p.Suites = append(p.Suites, p.suite(t, len(m.Kernels)))
		}
	}
	p.Features = featuresOf(m)
	return p
}

func (p *matrixPage) kernel(k Kernel) {
	shown := pageKernel{Name: k.Name, Release: k.Release, Note: k.Machine}
	if k.Problem != "" {
		shown.Log = p.log(pageLog{Title: "kernel " + k.Name, Reason: k.Problem, Text: k.Console})
	}
	p.Kernels = append(p.Kernels, shown)
}

// log adds what a cell opens to and returns its id.
func (p *matrixPage) log(l pageLog) string {
	l.ID = fmt.Sprintf("log-%d", len(p.Logs)+1)
	p.Logs = append(p.Logs, l)
	return l.ID
}

func (p *matrixPage) suite(t matrixTable, kernels int) pageSuite {
	s := pageSuite{Name: t.suite}
	for i := 0; i < len(t.rows); i += 1 + t.rowsBelow(i) {
		g := pageGroup{ID: fmt.Sprintf("open-%s-%d", strings.Map(onlyWord, t.suite), i), Top: pageRow{Name: t.rows[i].name}}
		for k := range kernels {
			g.Top.Cells = append(g.Top.Cells, p.sum(t.sumOf(i, k), p.Kernels[k].Name))
		}
		for _, row := range t.rows[i+1 : i+1+t.rowsBelow(i)] {
			shown := pageRow{Name: row.name[strings.LastIndexByte(row.name, '/')+1:], Depth: row.depth}
			for k, c := range row.cells {
				shown.Cells = append(shown.Cells, p.cell(c, p.Kernels[k].Name))
			}
			g.Rows = append(g.Rows, shown)
		}
		s.Groups = append(s.Groups, g)
	}
	return s
}

func onlyWord(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
		return r
	}
	return '-'
}

// sum shows what a test and its parts come to.
func (p *matrixPage) sum(s sum, kernel string) pageCell {
	if s.cell == nil {
		return pageCell{}
	}
	shown := p.cell(s.cell, kernel)
	if shown.State != s.state { // Some parts pass, others are unsupported.
		shown = pageCell{State: s.state, Text: string(s.state), Title: fmt.Sprintf("%d parts pass, %d are unsupported: %s", s.pass, s.unsupported, s.cell.Reason)}
	}
	if all := s.pass + s.others + s.unsupported; all > 1 && s.pass < all && s.state != Unsupported {
		shown.Note = fmt.Sprintf("%d/%d", s.pass, all)
	}
	return shown
}

// cell shows one cell, and adds its log.
func (p *matrixPage) cell(c *Cell, kernel string) pageCell {
	if c == nil {
		return pageCell{}
	}
	shown := pageCell{State: c.State, Text: string(c.State), Title: c.Reason}
	if c.State == Unsupported && c.Since != "" {
		shown.Text = "since " + c.Since
	}
	if c.Log != "" || len(c.Files) > 0 || (c.State.bad() && c.Reason != "") {
		if p.opens[c] == "" {
			p.opens[c] = p.log(pageLog{Title: c.Name + " on " + kernel, Reason: c.Reason, Text: c.Log, Files: c.Files})
		}
		shown.Log = p.opens[c]
	}
	return shown
}

// ofPrograms tells suites of programs, which have figures, from those of tests.
func (t matrixTable) ofPrograms() bool { return strings.HasPrefix(t.suite, "object ") }

// programs shows what the verifier went through, and how that changed since the kernel before.
func (p *matrixPage) programs(t matrixTable) pageSuite {
	s := pageSuite{Name: strings.TrimPrefix(t.suite, "object ")}
	for _, row := range t.rows {
		shown := pageRow{Name: row.name}
		var before *Cell
		for k, c := range row.cells {
			cell := p.cell(c, p.Kernels[k].Name)
			if c != nil && c.State == Pass && c.Instructions > 0 {
				cell.Text = grouped(float64(c.Instructions), 0)
				cell.Title = fmt.Sprintf("%s instructions verified, %s states", grouped(float64(c.Instructions), 0), grouped(float64(c.States), 0))
				if before != nil {
					cell.Note = change(before.Instructions, c.Instructions)
				}
				before = c
			}
			shown.Cells = append(shown.Cells, cell)
		}
		s.Groups = append(s.Groups, pageGroup{Top: shown})
	}
	return s
}

// change says by how much a figure rose or fell.
func change(before, after uint64) string {
	if before == 0 || before == after {
		return ""
	}
	return strings.Replace(fmt.Sprintf("%+.0f %%", 100*(float64(after)/float64(before)-1)), "-", "−", 1)
}

// featuresOf sorts the probes' answers into rows by kind.
func featuresOf(m *Matrix) (groups []pageFeatures) {
	seen := map[string]bool{}
	answers := make([]map[string]Feature, len(m.Kernels))
	for i, k := range m.Kernels {
		answers[i] = map[string]Feature{}
		for _, f := range k.Features {
			answers[i][f.Kind+"\x00"+f.Name] = f
		}
	}
	for _, k := range m.Kernels {
		for _, f := range k.Features {
			key := f.Kind + "\x00" + f.Name
			if seen[key] || f.Kind == "tool" {
				continue // Tools are the machine's, not the kernel's.
			}
			seen[key] = true
			row := pageRow{Name: f.Name}
			for i := range m.Kernels {
				a, there := answers[i][key]
				cell := pageCell{}
				if there {
					cell = pageCell{State: featureState(a.State), Text: a.State, Title: a.Reason}
				}
				row.Cells = append(row.Cells, cell)
			}
			if f.Since != "" {
				row.Name += " (" + f.Since + ")"
			}
			if len(groups) == 0 || groups[len(groups)-1].Kind != f.Kind {
				groups = append(groups, pageFeatures{Kind: f.Kind})
			}
			last := &groups[len(groups)-1]
			last.Rows = append(last.Rows, row)
		}
	}
	return groups
}

func featureState(answer string) State {
	switch answer {
	case "yes":
		return Pass
	case "no":
		return Unsupported
	}
	return Inconclusive
}

// Verdict says in a sentence how the matrix came out.
func (m *Matrix) Verdict() string {
	if len(m.Kernels) == 0 {
		return "No kernel was run"
	}
	tests, wrong := 0, map[string]bool{}
	for _, t := range m.tables() {
		for i := 0; i < len(t.rows); i += 1 + t.rowsBelow(i) {
			tests++
			for k := range m.Kernels {
				if t.sumOf(i, k).state.bad() {
					wrong[t.suite+" "+t.rows[i].name] = true
				}
			}
		}
	}
	kernels := fmt.Sprintf("%d kernels", len(m.Kernels))
	if len(m.Kernels) == 1 {
		kernels = m.Kernels[0].Name
	}
	dead := 0
	for _, k := range m.Kernels {
		if k.Problem != "" {
			dead++
		}
	}
	switch {
	case dead > 0:
		return fmt.Sprintf("%d of %s could not be run to the end; %d of %d tests go wrong", dead, kernels, len(wrong), tests)
	case len(wrong) > 0:
		return fmt.Sprintf("%d of %d tests go wrong on some of %s", len(wrong), tests, kernels)
	case tests == 0:
		return "No test was run on " + kernels
	case len(m.Problems) > 0:
		return fmt.Sprintf("Not all was run on %s: %d tests pass or name the feature that they lack", kernels, tests)
	default:
		return fmt.Sprintf("Nothing goes wrong on %s: %d tests pass or name the feature that they lack", kernels, tests)
	}
}
