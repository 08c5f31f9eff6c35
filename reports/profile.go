package reports

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// profileFile is what perf script printed of a recording with call chains, beside the
// results; or one line that begins with # and says why there is none.
const profileFile = "profile.perf"

// profile is where a run's CPU time went: a tree of calls, drawn as a flame graph with
// the callers on top.
type profile struct {
	root  frame
	depth int
}

// frame is a function as called from another.
type frame struct {
	name    string
	samples int // its own and those of what it called
	own     int
	calls   []*frame
}

// readProfile reads the profile of a run, if there is one.
func (r *Report) readProfile(dir string) {
	text, err := os.ReadFile(filepath.Join(dir, profileFile))
	if err != nil {
		return
	}
	if why, ok := strings.CutPrefix(string(text), "# "); ok && !strings.Contains(strings.TrimSpace(why), "\n") {
		r.noProfile = strings.TrimSpace(why)
		return
	}
	p := parseProfile(text)
	if p.root.samples == 0 {
		r.unread = append(r.unread, Problem{filepath.Join(dir, profileFile), 1, "no sample in it: write what perf script prints of a recording made with perf record -g"})
		return
	}
	r.profile = p
}

// bpfProgram is how the kernel names a program: with a hash of it before the name.
var bpfProgram = regexp.MustCompile(`^bpf_prog_[0-9a-f]{16}_`)

// idle is the command of a CPU that has nothing to do.
const idle = "swapper"

// parseProfile reads what perf script prints: a line for each sample that begins at
// the margin with the command, then its call chain, innermost first, then an empty line.
func parseProfile(text []byte) *profile {
	p := &profile{}
	var chain []string
	command := ""
	flush := func() {
		if command != "" && command != idle && len(chain) > 0 {
			slices.Reverse(chain)
			p.add(append([]string{command}, chain...))
		}
		command, chain = "", nil
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
			flush()
		case line[0] != ' ' && line[0] != '\t':
			flush()
			command = commandOf(fields)
		case command != "" && len(fields) > 1:
			// "ffffffff816ea07f fdget+0x7f ([kernel.kallsyms])"
			function, _, _ := strings.Cut(strings.Join(fields[1:], " "), " (")
			if i := strings.LastIndex(function, "+0x"); i > 0 {
				function = function[:i]
			}
			if function != "[unknown]" {
				chain = append(chain, bpfProgram.ReplaceAllString(function, "BPF "))
			}
		}
	}
	flush()
	for len(p.root.calls) == 1 && p.root.own == 0 {
		p.root = *p.root.calls[0] // what every sample has says nothing
	}
	p.depth = p.root.depth()
	return p
}

// commandOf is the words before the thread's number.
func commandOf(fields []string) string {
	for i, field := range fields {
		if i > 0 && strings.Trim(field, "0123456789/") == "" {
			return strings.Join(fields[:i], " ")
		}
	}
	return fields[0]
}

func (p *profile) add(chain []string) {
	at := &p.root
	at.samples++
	for _, name := range chain {
		i := slices.IndexFunc(at.calls, func(f *frame) bool { return f.name == name })
		if i < 0 {
			i = len(at.calls)
			at.calls = append(at.calls, &frame{name: name})
		}
		at = at.calls[i]
		at.samples++
	}
	at.own++
}

func (f *frame) depth() (deepest int) {
	for _, call := range f.calls {
		deepest = max(deepest, 1+call.depth())
	}
	return deepest
}

// Measures of a flame graph: frames that are thinner than a line are left out.
const (
	flameWidth = 2 * plotWidth
	flameRow   = vg.Length(12)
	flameThin  = vg.Length(0.7)
	flameRows  = 45
)

func (p *profile) size() (width, height vg.Length) {
	return flameWidth, 2*margin + flameRow*vg.Length(min(p.depth, flameRows))
}

// draw draws the tree from the top down, the widest call first.
func (p *profile) draw(on vg.CanvasSizer) {
	all := draw.New(on)
	all.SetColor(paper.Light)
	all.Fill(all.Rectangle.Path())
	perSample := (flameWidth - 2*margin) / vg.Length(p.root.samples)
	p.drawCalls(all, &p.root, margin, all.Max.Y-margin, perSample, 0)
}

func (p *profile) drawCalls(canvas draw.Canvas, f *frame, x, y, perSample vg.Length, row int) {
	if row == flameRows {
		return
	}
	calls := slices.SortedStableFunc(slices.Values(f.calls), func(a, b *frame) int {
		return cmp.Or(cmp.Compare(b.samples, a.samples), cmp.Compare(a.name, b.name))
	})
	for _, call := range calls {
		width := perSample * vg.Length(call.samples)
		if width < flameThin {
			return
		}
		fill(canvas, flameTone(call.name), x, x+width-0.4, y-flameRow/2, flameRow-0.8)
		if words := fit(flameStyle, call.name, width-3); words != "…" {
			canvas.FillText(flameStyle, vg.Point{X: x + 1.5, Y: y - flameRow/2 + textLift}, words)
		}
		p.drawCalls(canvas, call, x, y-flameRow, perSample, row+1)
		x += width
	}
}

// flameTone tells BPF programs and packet filters from the rest.
func flameTone(name string) tone {
	switch {
	case strings.HasPrefix(name, "BPF "):
		return sky
	case strings.HasPrefix(name, "nf_") || strings.HasPrefix(name, "nft_") || strings.HasPrefix(name, "ipt_"):
		return rose
	default:
		return pale
	}
}

// hottest lists the functions that took most time themselves.
func (p *profile) hottest(n int) (all []string) {
	own := map[string]int{}
	var collect func(f *frame)
	collect = func(f *frame) {
		own[f.name] += f.own
		for _, call := range f.calls {
			collect(call)
		}
	}
	collect(&p.root)
	names := slices.Collect(func(yield func(string) bool) {
		for name, samples := range own {
			if samples > 0 && !yield(name) {
				return
			}
		}
	})
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(own[b], own[a]), cmp.Compare(a, b)) })
	for _, name := range names[:min(n, len(names))] {
		all = append(all, fmt.Sprintf("%s %s %%", name, grouped(100*float64(own[name])/float64(p.root.samples), 1)))
	}
	return all
}
